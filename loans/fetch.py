"""Step 1: what Mifos X shows as approved becomes, and stays, our list of loans."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from loans.audit import EventDraft, chain
from loans.decide import APPROVABLE_HOLDS, hold_columns, request_approvals
from loans.eligibility import refusal_for
from loans.models import LoanEvent, LoanStatus, LoanTracking
from loans.refresh import cancel_or_keep, reopen, review_if_undone, take_facts
from loans.rules import facts_of, rules_of
from loans.terms import columns_of_client, columns_of_loan, terms_differ
from mifos.client import (
    Client,
    Loan,
    MifosClient,
    MifosError,
    MifosUnreachable,
    MifosUnreadable,
)
from partners.models import Partner
from partners.overlap import Patience, leave_database, overlap

LIST_WAS_CUT = (
    "A pass's time was over before the end of the list of approved loans; "
    "let cron read it (manage.py scheduled_loan_sync)"
)


@dataclass(kw_only=True, slots=True)
class PartnerFetch:
    """One partner's poll. Counts are loans; `error` is set when the partner could not be read."""

    partner: str  # name
    slug: str
    approved: int = 0  # rows in Mifos X that await disbursal
    new_loans: int = 0  # of those, seen for the first time
    cancelled: int = 0  # left Mifos X's waiting list before anything was sent
    seconds: float = 0.0
    has_more: bool = False  # the time ended before the list did
    error: str = ""


def fetch_partner(
    partner: Partner, mifos: MifosClient, *, now: datetime, deadline: float | None = None
) -> PartnerFetch:
    """Read the partner's whole waiting list and keep it. A failed poll is told, never raised.

    After `deadline` (monotonic seconds) no further page is read; what was read is kept. Staff are
    told on the partner: the next poll begins at the first page again, and may end there, too.
    """
    report = PartnerFetch(partner=partner.name, slug=partner.slug)
    started = time.monotonic()
    try:
        patience = Patience(deadline=deadline)
        seen = _keep_pages(partner, mifos, report, patience, now=now)
        if not report.has_more:  # what a list that was cut does not show may stand in the rest
            report.cancelled = _look_at_the_missing(partner, mifos, seen, patience, now=now)
    except MifosError as exc:
        report.error = str(exc)
    note_poll(partner, error=report.error or (LIST_WAS_CUT if report.has_more else ""), now=now)
    if not report.error and mifos.unreadable_rows:
        cut = f"{LIST_WAS_CUT}. " if report.has_more else ""
        _tell_of_the_unreadable(partner, mifos.unreadable_rows, before=cut, now=now)
    report.seconds = time.monotonic() - started
    return report


def fetch_one(partner: Partner, mifos: MifosClient, loan_id: int, *, now: datetime) -> None:
    """Look at one loan, as a hook asks. Raises MifosError; keeps nothing that does not wait."""
    leave_database()
    loan = mifos.loan(loan_id)
    if loan.waiting_for_disbursal:
        _keep_page(partner, [loan], mifos, now=now)


def _is_away(exc: MifosError) -> bool:
    """Is it silence? An odd field of one loan, or client, keeps no other from being read."""
    return isinstance(exc, MifosUnreachable) and not isinstance(exc, MifosUnreadable)


def note_poll(partner: Partner, *, error: str, now: datetime) -> None:
    """Write on the partner when it was polled, and how that went."""
    columns: dict[str, object] = {"last_polled_at": now, "last_error": error[:500]}
    if error:
        columns["last_error_at"] = now
    else:
        columns["last_poll_succeeded_at"] = timezone.now()
    Partner.objects.filter(pk=partner.pk).update(**columns)


def _tell_of_the_unreadable(
    partner: Partner, rows: Sequence[str], *, before: str, now: datetime
) -> None:
    """A row without a principal, say: its loan is in no table, so the partner must speak of it. All
    others were read, and are paid."""
    text = f"{before}{len(rows)} approved loans cannot be read, and are not paid. {rows[0]}"
    Partner.objects.filter(pk=partner.pk).update(last_error=text[:500], last_error_at=now)


def _keep_pages(
    partner: Partner,
    mifos: MifosClient,
    report: PartnerFetch,
    patience: Patience,
    *,
    now: datetime,
) -> set[int]:
    seen: set[int] = set()
    pages = mifos.approved_loans()
    while True:
        leave_database()
        page = next(pages, None)
        if page is None:
            break
        seen.update(loan.loan_id for loan in page)
        report.new_loans += _keep_page(partner, page, mifos, now=now)
        if patience.is_lost:
            report.has_more = True
            break
    report.approved = len(seen)
    return seen


def _keep_page(partner: Partner, page: list[Loan], mifos: MifosClient, *, now: datetime) -> int:
    """Keep one page of waiting loans; return how many were new."""
    known = _known(partner, page)
    for loan in page:
        row = known.get(loan.loan_id)
        if row is not None:
            _follow(row, loan, mifos, now=now)
    new = [loan for loan in page if loan.loan_id not in known]
    return _insert(partner, new, _clients_of(new, mifos, partner), now=now) if new else 0


def _known(partner: Partner, page: list[Loan]) -> dict[int, LoanTracking]:
    rows = LoanTracking.objects.filter(
        partner=partner, loan_id__in=[loan.loan_id for loan in page]
    ).order_by("cycle")
    return {row.loan_id: row for row in rows}


def _follow(row: LoanTracking, loan: Loan, mifos: MifosClient, *, now: datetime) -> None:
    """Bring a known loan up to date with the list; most of them need nothing, and cost nothing."""
    if row.status == LoanStatus.PENDING:
        if terms_differ(row, loan):
            take_facts(row.pk, columns_of_loan(loan), now=now)
    elif row.status == LoanStatus.CANCELLED:
        reopen(row.pk, columns_of_loan(loan), now=now)
    elif row.status == LoanStatus.DISBURSED:
        review_if_undone(row, mifos, now=now)


def _clients_of(
    loans: list[Loan], mifos: MifosClient, partner: Partner
) -> dict[int, Client | MifosError]:
    """Read the clients of new loans at once. One that cannot be read does not lose its loan."""

    patience = Patience()

    def read(client_id: int) -> tuple[int, Client | MifosError]:
        try:
            client = mifos.client(client_id)
        except MifosError as exc:
            patience.note(success=not _is_away(exc))
            return client_id, exc
        patience.note(success=True)
        return client_id, client

    leave_database()
    ids = sorted({loan.client_id for loan in loans if loan.client_id is not None})
    return dict(overlap(read, patience.while_kept(ids), workers=partner.mifos_concurrency))


def _insert(
    partner: Partner,
    loans: list[Loan],
    clients: dict[int, Client | MifosError],
    *,
    now: datetime,
) -> int:
    with transaction.atomic():
        # Another pass may be keeping the same page: the partner's row is the queue for both.
        locked = Partner.objects.select_for_update().prefetch_related("products").get(pk=partner.pk)
        known = _known(partner, loans)
        rows = [
            _row(locked, loan, clients.get(loan.client_id or 0), now=now)
            for loan in loans
            if loan.loan_id not in known
        ]
        _decide_unsaved(locked, rows, now=now)
        _save_with_events(rows, now=now)
    return len(rows)


def _row(
    partner: Partner, loan: Loan, client: Client | MifosError | None, *, now: datetime
) -> LoanTracking:
    return LoanTracking(
        partner=partner,
        loan_id=loan.loan_id,
        created_at=now,
        **{**columns_of_loan(loan), **columns_of_client(client)},
    )


def _decide_unsaved(partner: Partner, rows: list[LoanTracking], *, now: datetime) -> None:
    rules = rules_of(partner)
    today = timezone.localdate(now)
    for row, facts in zip(rows, facts_of(rows), strict=True):
        refusal = refusal_for(facts=facts, rules=rules, today=today)
        for name, value in hold_columns(refusal, now=now).items():
            setattr(row, name, value)


def _save_with_events(rows: list[LoanTracking], *, now: datetime) -> None:
    events: list[LoanEvent] = []
    for row in rows:
        events += chain(row, [_found(row, now=now)])
    LoanTracking.objects.bulk_create(rows)
    for event, row in zip(events, rows, strict=True):
        event.loan_tracking = row
    LoanEvent.objects.bulk_create(events)
    request_approvals((row for row in rows if row.hold_reason in APPROVABLE_HOLDS), now=now)


def _found(row: LoanTracking, *, now: datetime) -> EventDraft:
    waits = f"; held: {row.error_message}" if row.hold_reason else ""
    return EventDraft(
        from_status="",
        to_status=LoanStatus.PENDING,
        actor="system",
        reason=f"Found approved in Mifos X{waits}",
        at=now,
        details={
            "principal": str(row.loan_amount),
            "net": str(row.net_disbursal_amount),
            "approved_on": str(row.approved_on or ""),
            "hold": row.hold_reason,
        },
    )


def _look_at_the_missing(
    partner: Partner,
    mifos: MifosClient,
    seen: set[int],
    patience: Patience,
    *,
    now: datetime,
) -> int:
    """Re-read each pending loan that the list no longer showed. Absence alone cancels nothing."""
    pending = LoanTracking.objects.filter(partner=partner, status=LoanStatus.PENDING)
    missing = [
        (pk, loan_id)
        for pk, loan_id in pending.values_list("pk", "loan_id").iterator(chunk_size=2000)
        if loan_id not in seen
    ]

    def look(one: tuple[int, int]) -> bool:
        try:
            was_cancelled = cancel_or_keep(one[0], one[1], mifos, now=now)
        except MifosError as exc:
            patience.note(success=not _is_away(exc))
            return False
        patience.note(success=True)
        return was_cancelled

    looked_at = patience.while_kept(missing)
    return sum(overlap(look, looked_at, workers=partner.mifos_concurrency))
