"""Plays one schedule: the faults, the healing, the passes until all is quiet, and the verdict."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from campaigns.books import Books, Unit, read_books
from campaigns.lives import Setting
from campaigns.oracle import Case, is_settled, violations
from campaigns.rig import Rig
from campaigns.verdict import Violation
from sandbox.calls import Json
from sandbox.world import SampleWorld

MOST_PASSES = 6  # reliability.md 1.2, L1
GIVE_UP_AFTER = 10
WEB_SECONDS = 5.0
Job = tuple[str, int]  # (name, seed)


@dataclass(kw_only=True)
class Outcome:
    """What one schedule did and found, as one JSON line."""

    campaign: str
    name: str
    seed: int
    engine: str = ""
    armed: int = 0
    fired: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    passes: int = 0  # to quiet, after the healing
    violations: list[str] = field(default_factory=list)
    visited: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def counts(self) -> bool:
        """Only a schedule in which something really happened counts (reliability.md 4.1)."""
        return bool(self.fired) or self.kills > 0

    @property
    def signature(self) -> str:
        return " ".join(sorted(self.fired))

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "signature": self.signature, "counts": self.counts}


@dataclass(kw_only=True)
class Play:
    """One schedule under way on one rig."""

    rig: Rig
    world: SampleWorld
    outcome: Outcome
    bystanders: frozenset[str] = frozenset()
    touched: set[Unit] = field(default_factory=set)
    person_acted_at: list[float] = field(default_factory=list)
    allowed_errors: tuple[str, ...] = ()
    settings: Setting | None = None
    started: float = field(default_factory=time.monotonic)
    found: list[Violation] = field(default_factory=list)

    def run_passes(self, count: int) -> None:
        for _ in range(count):
            self.rig.one_pass(settings=self.settings)

    def heal(self) -> None:
        """End every fault; what was still to land lands now."""
        sandbox = self.rig.sandbox
        self._count_fired()
        for name in ("kill_pass", "kill_web", "stop_pass", "cut_at"):
            self.rig.shared.set(name, 0)
        self.settings = None
        sandbox.clear_faults()
        sandbox.options(hold_callbacks=False)
        sandbox.release_effects()
        sandbox.release_callbacks()
        self.rig.mend_web()
        sandbox.wait_for_callbacks(20)

    def until_quiet(self) -> None:
        """Run passes until every loan is settled; a person closes breakers, as the runbook says."""
        passes = 0
        while not self.is_quiet() and passes < GIVE_UP_AFTER:
            self.close_breakers()
            self.rig.one_pass()
            passes += 1
        self.outcome.passes = passes
        if passes > MOST_PASSES:
            self.found.append(Violation("L1", f"quiet only after {passes} passes"))

    def is_quiet(self) -> bool:
        tables = self.rig.engine.tables()
        loans = tables.rows(
            "SELECT l.loan_id, p.mifos_tenant_id, l.status, l.review_reason, l.hold_reason,"
            " l.decided_at, l.next_attempt_at FROM loan_tracking l"
            " JOIN partners p ON p.id = l.partner_id"
        )
        known = {(row["mifos_tenant_id"], row["loan_id"]) for row in loans}
        wanted = {(row.tenant, row.loan_id) for row in self.world.payable} - self.touched
        gates = ("breaker_open", "float_short")  # over as soon as a person or the float has come
        unread = tables.rows("SELECT id FROM mpesa_callbacks WHERE applied_at IS NULL")
        return (
            not unread  # a letter whose reader was killed is the next pass's
            and wanted <= known
            and all(
                is_settled(row, self.rig.now) and row["hold_reason"] not in gates for row in loans
            )
        )

    def close_breakers(self) -> None:
        rows = self.rig.engine.tables().rows(
            "SELECT environment, shortcode FROM mpesa_shortcodes"
            " WHERE breaker_opened_at IS NOT NULL"
        )
        if not rows:
            return

        def close() -> None:
            from mpesa.shortcodes import reset_breaker

            for row in rows:
                reset_breaker(row["environment"], row["shortcode"])

        self.person_acted_at.append(time.time())
        self.rig.act(close)

    def aftermath(self) -> None:
        """Every letter comes once more, and cron goes on: nothing may move any more."""
        sandbox = self.rig.sandbox
        sandbox.release_effects()
        before = {row["id"]: row["sent_at"] for row in sandbox.callbacks()["letters"][-40:]}
        sandbox.duplicate_callbacks(list(before), times=1)

        def all_came_again() -> bool:
            letters = sandbox.callbacks()["letters"]
            return all(row["sent_at"] != before.get(row["id"], 0) for row in letters)

        if before:
            sandbox.wait_until(all_came_again, 20)
            self._let_the_web_finish()
        self.rig.one_pass()
        for _ in range(MOST_PASSES):
            if self.is_quiet():
                return
            self.close_breakers()
            self.rig.one_pass()

    def _let_the_web_finish(self) -> None:
        """On a busy machine M-Pesa hangs up before our answer is out, and the web works on. What
        is not read after that stays so."""
        tables, until = self.rig.engine.tables(), time.monotonic() + WEB_SECONDS
        unread = "SELECT id FROM mpesa_callbacks WHERE applied_at IS NULL"
        while tables.rows(unread) and time.monotonic() < until:
            time.sleep(0.05)

    def judge(self) -> Outcome:
        """Read the books and close the schedule."""
        self._let_the_web_finish()  # a letter of this moment is kept already, and being read
        books = self.look(quiet=True)
        outcome = self.outcome
        self.found += [Violation("life", text) for text in self.rig.wrong]
        for error in self.rig.nursery.take_errors():
            if not any(name in error for name in self.allowed_errors):
                self.found.append(Violation("error", error[-1500:]))
        outcome.violations = [str(each) for each in dict.fromkeys(self.found)]
        outcome.kills = self.rig.kills
        outcome.visited = sorted(visited(books))
        outcome.engine = self.rig.engine.name
        outcome.seconds = round(time.monotonic() - self.started, 3)
        return outcome

    def look(self, *, quiet: bool) -> Books:
        """Check every promise now; the ones of rest only when `quiet`."""
        books = read_books(self.rig.sandbox, self.rig.engine.tables())
        case = Case(
            books=books,
            world=self.world,
            now=self.rig.now,
            quiet=quiet,
            person_acted_at=self.person_acted_at,
            bystanders=self.bystanders,
            touched=frozenset(self.touched),
        )
        self.found += violations(case)
        return books

    def _count_fired(self) -> None:
        fired = Counter(self.outcome.fired)
        for entry in self.rig.sandbox.faults()["fired"]:
            fired[f"{entry['call']}:{entry['outcome']}"] += 1
        self.outcome.fired = dict(fired)


def visited(books: Books) -> set[str]:
    """Return which rare states this schedule passed through (reliability.md 4.1, rule 3)."""
    found = {f"loan {row['status']}" for row in books.loans.values()}
    found |= {
        f"review {row['review_reason']}" for row in books.loans.values() if row["review_reason"]
    }
    found |= {f"hold {row['hold_reason']}" for row in books.loans.values() if row["hold_reason"]}
    for event in books.events:
        if event["disbursement_request_id"] is not None and event["from_status"]:
            found.add(f"move {event['from_status']} → {event['to_status']}")
    found |= {"resent" for row in books.attempts.values() if row["send_count"] > 1}
    found |= {"second attempt" for row in books.attempts.values() if row["attempt_no"] > 1}
    found |= {"another key" for row in books.attempts.values() if row["record_key_no"] > 1}
    found |= {f"request refused {row['error']}" for row in books.requests if row["error"]}
    found |= {f"status query: {row['result']}" for row in _asked(books)}
    return found


def _asked(books: Books) -> list[Json]:
    return [
        row["facts"]
        for row in books.letters
        if row["kind"] == "status_result" and "result" in row["facts"]
    ]


def spread(jobs: list[Job], count: int | None) -> list[Job]:
    """Return `count` jobs taken evenly from all over the list; None = all."""
    if count is None or count >= len(jobs):
        return jobs
    return [jobs[position * len(jobs) // count] for position in range(count)]


def begin(rig: Rig, outcome: Outcome, world: SampleWorld, **options: Any) -> Play:
    """Make the rig new for this schedule."""
    rig.renew(world, seed=outcome.seed, **options)
    return Play(rig=rig, world=world, outcome=outcome)
