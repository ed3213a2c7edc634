"""Loads partners and their product configs from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from partners.load_report import plan_as_json, plan_as_text, problems_as_json, problems_as_text
from partners.loading import WrongFile, load_partners
from partners.management.database import DatabaseCommand


class Command(DatabaseCommand):
    help = "Create or update partners from a JSON or YAML list. All of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("-n", "--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--prune", action="store_true", help="disable products the file does not name"
        )

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        dry_run, as_json = options["dry_run"], options["json"]
        try:
            plans = load_partners(
                Path(file), now=timezone.now(), prune=options["prune"], dry_run=dry_run
            )
        except WrongFile as exc:
            if as_json:
                self.stdout.write(problems_as_json(exc.problems))
            raise CommandError(problems_as_text(exc.problems), returncode=2) from exc
        show = plan_as_json if as_json else plan_as_text
        self.stdout.write(show(plans, dry_run=dry_run))
