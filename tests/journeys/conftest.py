"""A lender or two in the sandbox, our site in a real server, and a short clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from disbursements.models import DisbursementRequest, TriggeredBy
from disbursements.passes import run_sync
from disbursements.reports import SyncReport
from loans.models import LoanTracking
from mpesa.tokens import forget_warm_tokens
from sandbox.world import SampleWorld, partner_rows, small_world
from tests.journeys.books import Books, check_books

SHORT_CLOCK: dict[str, float] = {
    "LOANPOLL_HTTP_CONNECT_TIMEOUT": 5,
    "LOANPOLL_HTTP_READ_TIMEOUT": 10,
    "LOANPOLL_STATUS_QUERY_AFTER": 0,
    "LOANPOLL_NOT_FOUND_INTERVAL": 0.1,
    "LOANPOLL_RESEND_AFTER": 0.2,
    "LOANPOLL_BACKOFF_BASE": 0,
}


class Stage:
    """What a journey does: passes, waits, looks."""

    def __init__(
        self, sandbox: Any, settings: Any, sample: SampleWorld, folder: Path, **columns: Any
    ) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.sample = sample
        self.folder = folder
        sandbox.load(sample.document)
        rows = partner_rows(
            sample.document, sandbox.mifos_url, mpesa_payments_per_second="1000", **columns
        )
        self.load_partners(rows)

    def load_partners(self, rows: list[dict[str, Any]]) -> None:
        file = self.folder / "partners.json"
        file.write_text(json.dumps(rows))
        call_command("load_partners", str(file), stdout=StringIO())

    def sync(self, passes: int = 1, *, quiet: bool = True) -> SyncReport:
        """Run passes; between two of them all letters that are due arrive."""
        for _ in range(passes):
            report = run_sync(triggered_by=TriggeredBy.SCHEDULE)
            if quiet:
                self.settle()
        return report

    def settle(self) -> None:
        """Wait until M-Pesa has said all that it will say by itself."""
        self.sandbox.wait_for_callbacks()

    def ask_nothing_yet(self) -> None:
        """Let no status query be due, so that a letter's own effect shows."""
        self.settings.LOANPOLL_STATUS_QUERY_AFTER = 3600

    def ask_now(self) -> None:
        """Let every silent payment be due for a status query."""
        self.settings.LOANPOLL_STATUS_QUERY_AFTER = 0
        open_ones = DisbursementRequest.objects.filter(status__in=["accepted", "unknown"])
        open_ones.update(next_query_at=timezone.now())

    def sync_until(self, done: Callable[[], object], *, passes: int = 8) -> int:
        """Run passes until something is true; return how many it took."""
        for number in range(1, passes + 1):
            self.sync()
            if done():
                return number
            time.sleep(0.1)
        raise AssertionError(f"not within {passes} passes: {self.told()}")

    def loan(self, loan_id: int | None = None) -> LoanTracking:
        rows = LoanTracking.objects.order_by("-cycle")
        return rows.filter(loan_id=loan_id or self.first).first() or LoanTracking()

    def attempt(self, loan_id: int | None = None) -> DisbursementRequest:
        attempts = DisbursementRequest.objects.filter(loan_tracking__loan_id=loan_id or self.first)
        return attempts.order_by("-attempt_no", "-id")[0]

    @property
    def first(self) -> int:
        """The first loan that can be paid."""
        return self.sample.payable[0].loan_id

    @property
    def tenant(self) -> str:
        return self.sample.payable[0].tenant

    @property
    def shortcode(self) -> str:
        return str(self.sample.document["shortcodes"][0]["shortcode"])

    def books(self) -> Books:
        """Compare the three books; return them."""
        self.settle()
        return check_books(self.sandbox)

    def told(self) -> list[tuple[int, str, str, str, str]]:
        return list(
            LoanTracking.objects.values_list(
                "loan_id", "status", "hold_reason", "review_reason", "error_message"
            )
        )

    def is_done(self) -> bool:
        """Is every loan that can be paid recorded in Mifos X?"""
        disbursed = LoanTracking.objects.filter(status="disbursed").count()
        return disbursed == len(self.sample.payable)


Open = Callable[..., Stage]


@pytest.fixture
def open_stage(sandbox: Any, live_site: str, settings: Any, tmp_path: Path) -> Iterator[Open]:
    """Return how to set the stage: `open_stage(sample, **partner_columns)`."""
    forget_warm_tokens()
    for name, seconds in SHORT_CLOCK.items():
        setattr(settings, name, seconds)
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = True
    settings.MPESA_SANDBOX_URL = sandbox.mpesa_url
    sandbox.options(callback_delay=0.02)

    def opened(sample: SampleWorld | None = None, **columns: Any) -> Stage:
        return Stage(
            sandbox, settings, sample or small_world(payable=1, kinds=()), tmp_path, **columns
        )

    yield opened
    connections.close_all()


@pytest.fixture
def stage(open_stage: Open) -> Stage:
    """One lender with one loan that can be paid."""
    return open_stage()


def run(name: str, *arguments: str) -> tuple[str, int]:
    """Run a command as a person does; return what it says and its exit code."""
    out = StringIO()
    try:
        call_command(name, *arguments, stdout=out, stderr=out)
    except CommandError as failed:
        return f"{out.getvalue()}{failed}", failed.returncode
    return out.getvalue(), 0
