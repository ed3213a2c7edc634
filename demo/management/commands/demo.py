"""`manage.py demo`: everything on this machine, with no real money. `--once` proves itself."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from demo import environment, guard, house
from demo.books import compare
from demo.cast import assemble
from demo.live import play_live
from demo.people import ROLES, make_people, new_password
from demo.scenes import SCENES
from demo.stage import PAUSE_SECONDS, Stage, StoryStuck
from demo.telling import Teller
from demo.verdict import Verdict, as_json, as_lines, judge
from loans.models import LoanTracking

END_SECONDS = 90.0  # for what only time brings: second questions, sends, calls for a person
FAST, SLOW = 0.1, 1.5  # seconds until M-Pesa's result comes
STEPS = 5


class Command(BaseCommand):
    help = "A sandbox, sample lenders and loans, passes on a short clock, pages to open."

    def add_arguments(self, parser: CommandParser) -> None:
        environment.add_arguments(parser)
        parser.add_argument(
            "--once",
            action="store_true",
            help="play a fixed story to its end; exit 0 only if the three books agree",
        )
        parser.add_argument("--seconds", type=float, help="stop by itself after so many seconds")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        self.began = time.monotonic()
        self.quiet = options["json"]
        problem = guard.refusal(folder)
        if problem:
            raise CommandError(problem, returncode=2)
        house.log_to(folder / "passes.log")
        with house.stopped_by_signals() as asked:
            try:
                self._play(folder.resolve(), options)
            except (Exception, KeyboardInterrupt) as exc:
                if asked.is_set():  # the sandbox may have heard it first, and be gone already
                    self._stopped(options)
                elif isinstance(exc, house.SiteDied | StoryStuck):
                    raise CommandError(str(exc), returncode=1) from exc
                else:
                    raise

    def _stopped(self, options: dict[str, Any]) -> None:
        self._say("\n  Stopped. Nothing is left running.")
        if options["once"]:
            raise CommandError("The story was stopped.", returncode=130) from None

    def _play(self, folder: Path, options: dict[str, Any]) -> None:
        with self._stage(folder, delay=FAST if options["once"] else SLOW) as stage:
            if options["once"]:
                self._report(self._story(stage), stage.teller)
                return
            self._invite(options["port"])
            seconds = options["seconds"]
            play_live(stage, until=None if seconds is None else time.monotonic() + seconds)

    @contextmanager
    def _stage(self, folder: Path, *, delay: float) -> Iterator[Stage]:
        began_at = timezone.now()
        guard.fresh_database()
        self._step(1, "Database", str(folder / environment.DATABASE))
        password = new_password()
        people = make_people(password)
        names = " / ".join(("admin", *ROLES))
        self._step(2, "Users", f"{names}   password of all: {password}")
        cast = assemble(today=timezone.localdate())
        mifos_url = os.environ["DEMO_MIFOS_URL"]
        with house.sandbox_with(cast, mifos_url=mifos_url, callback_delay=delay) as box:
            house.connect_lenders(cast, box)
            self._step(3, "Mifos X", f"{box.mifos_url}   {len(cast.lenders)} lenders")
            self._step(4, "M-Pesa", f"{box.mpesa_url}   answers in {delay:g} s")
            with house.site(folder):
                self._step(5, "Site", settings.PUBLIC_BASE_URL)
                teller = Teller(say=self._say, began_at=began_at)
                yield Stage(box=box, cast=cast, teller=teller, people=people)

    def _story(self, stage: Stage) -> Verdict:
        for scene in SCENES:
            scene(stage)
        until = time.monotonic() + END_SECONDS
        while (missing := stage.not_ended()) and time.monotonic() < until:
            stage.run_pass()
            time.sleep(PAUSE_SECONDS)
        stage.wait_for_letters()
        return judge(stage.cast, compare(stage.box), not_ended=missing)

    def _report(self, verdict: Verdict, teller: Teller) -> None:
        seconds = round(time.monotonic() - self.began, 1)
        if self.quiet:
            facts = {
                "success": verdict.is_good,
                "seconds": seconds,
                "firstDisbursedSeconds": teller.first_disbursed_seconds,
                **as_json(verdict),
            }
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            self._say("")
            for line in as_lines(verdict):
                self._say(line)
            loans = LoanTracking.objects.count()
            first = teller.first_disbursed_seconds
            self._say(f"  {loans} loans in {seconds} s; the first was disbursed after {first} s.")
        if not verdict.is_good:
            raise CommandError("The story did not end as it must.", returncode=1)

    def _invite(self, wanted_port: int) -> None:
        site = settings.PUBLIC_BASE_URL
        if not site.endswith(f":{wanted_port}"):
            self._say(f"\n  Port {wanted_port} is taken, so the site has the next free one.")
        self._say(f"\n  Open  {site}/loan-tracking  and sign in as operator.")
        self._say("  Ctrl-C stops everything. A real lender: docs/how-to/connect-a-lender.md")
        self._say("")

    def _step(self, number: int, what: str, text: str) -> None:
        took = time.monotonic() - self.began
        self._say(f"  [{number}/{STEPS}] {what:<9} {text:<72} {took:5.1f} s")

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.stdout.write(line)
            self.stdout.flush()
