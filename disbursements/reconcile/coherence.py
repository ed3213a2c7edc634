"""Our own book must make sense by itself. A breach is a bug, or a hand in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.reconcile.window import Window
from disbursements.replay import attempt_faults
from loans.audit import lock_loan
from loans.models import LoanStatus, LoanTracking
from loans.verify import verify_loans

CHUNK = 500
LIVE_OF_LOAN = {
    # How many attempts that are not proven dead a loan in each status has.
    LoanStatus.PENDING: frozenset({0}),
    LoanStatus.FAILED: frozenset({0}),
    LoanStatus.CANCELLED: frozenset({0}),
    LoanStatus.PROCESSING: frozenset({1}),
    LoanStatus.DISBURSED: frozenset({1}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """One promise of our own book that does not hold."""

    partner: str  # slug
    loan_tracking_id: int
    loan_id: int
    problem: str


def breaches(window: Window) -> Iterator[Breach]:
    """Check every loan's row against its attempts, and the trail of what changed in the window.

    The site may go on working: what seems broken is read again under the loan's lock.
    """
    for chunk in _chunks(LoanTracking.objects.all()):
        attempts = _attempts_of(chunk)
        for loan in chunk:
            if any(_problems(loan, attempts[loan.pk])):
                yield from _again(loan.pk)
    changed = LoanTracking.objects.filter(updated_at__gte=window.start)
    for fault in verify_loans(changed, attempts=attempt_faults).faults:
        event = f"event {fault.event_id}: " if fault.event_id else ""
        yield Breach(
            partner=fault.partner,
            problem=f"audit trail, {event}{fault.problem}",
            loan_tracking_id=fault.loan_tracking_id,
            loan_id=fault.loan_id,
        )


def _again(pk: int) -> list[Breach]:
    with transaction.atomic():
        loan = lock_loan(pk)
        return [
            Breach(
                partner=loan.partner.slug,
                problem=problem,
                loan_tracking_id=loan.pk,
                loan_id=loan.loan_id,
            )
            for problem in _problems(loan, _attempts_of([loan])[loan.pk])
        ]


def _problems(loan: LoanTracking, attempts: list[DisbursementRequest]) -> Iterator[str]:
    live = [each for each in attempts if each.status != AttemptStatus.FAILED]
    if len(live) > 1:
        yield f"it has {len(live)} attempts that are not proven dead"
    if len(live) not in LIVE_OF_LOAN[LoanStatus(loan.status)] and len(live) < 2:
        has = "one" if live else "no"
        yield f"it is {loan.get_status_display().lower()} with {has} live attempt"
    for attempt in live:
        yield from _of_live(loan, attempt)
    if any(each.partner_id != loan.partner_id for each in attempts):
        yield "an attempt of it belongs to another partner"
    if attempts and loan.disbursement_status != attempts[-1].status:
        yield (
            f"it shows its last attempt as {loan.disbursement_status or 'none'!r}, and that is "
            f"{attempts[-1].status}"
        )


def _of_live(loan: LoanTracking, attempt: DisbursementRequest) -> Iterator[str]:
    is_completed = attempt.status == AttemptStatus.COMPLETED
    if is_completed != (loan.status == LoanStatus.DISBURSED):
        yield f"it is {loan.get_status_display().lower()} and its attempt is {attempt.status}"
    if loan.mpesa_receipt_number != attempt.transaction_receipt:
        yield (
            f"it shows receipt {loan.mpesa_receipt_number or 'none'!r}, and its attempt "
            f"{attempt.transaction_receipt or 'none'!r}"
        )
    if is_completed and not attempt.transaction_receipt:
        yield "it is completed without a receipt"
    # Loan by loan, so that the sums of both tables agree as well, at any instant.
    if attempt.principal != loan.loan_amount:
        yield f"its principal is {loan.loan_amount}, and its attempt's {attempt.principal}"
    if attempt.amount != loan.net_disbursal_amount:
        yield f"its net amount is {loan.net_disbursal_amount}, and its attempt's {attempt.amount}"


def _chunks(loans: QuerySet[LoanTracking]) -> Iterator[list[LoanTracking]]:
    last = 0
    while chunk := list(loans.order_by("pk").filter(pk__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1].pk


def _attempts_of(loans: list[LoanTracking]) -> defaultdict[int, list[DisbursementRequest]]:
    found: defaultdict[int, list[DisbursementRequest]] = defaultdict(list)
    rows = DisbursementRequest.objects.filter(loan_tracking__in=[each.pk for each in loans])
    for row in rows.order_by("attempt_no"):
        found[row.loan_tracking_id].append(row)
    return found
