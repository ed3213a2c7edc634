"""The passes: the steps in order, for every partner at once. Cron, the API and people call these."""

from __future__ import annotations

from collections.abc import Sequence

from disbursements.models import TriggeredBy
from disbursements.reports import FetchReport, ProcessReport, SyncReport


def run_fetch(*, triggered_by: TriggeredBy, partners: Sequence[str] = ()) -> FetchReport:
    """Steps 1 and 2 for the partners with these slugs (none named = all active ones)."""
    raise NotImplementedError


def run_process(
    *,
    triggered_by: TriggeredBy,
    partners: Sequence[str] = (),
    loan_id: int | None = None,
    limit: int | None = None,
    budget_seconds: float | None = None,
    dry_run: bool = False,
) -> ProcessReport:
    """Steps 3 to 5. `budget_seconds` stops taking new work; `dry_run` reads, and writes nothing."""
    raise NotImplementedError


def run_sync(
    *,
    triggered_by: TriggeredBy,
    partners: Sequence[str] = (),
    budget_seconds: float | None = None,
    wait_seconds: float = 0,
    dry_run: bool = False,
) -> SyncReport:
    """One whole pass. `wait_seconds` lingers for callbacks, so that what was paid is recorded too."""
    raise NotImplementedError


def run_hook(*, partner_id: int, loan_id: int) -> None:
    """Look at one loan now: fetch it, and pay it if it may be paid."""
    raise NotImplementedError
