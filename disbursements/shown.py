"""What Mifos X shows of a paid loan decides: ours is there, another's is, or none."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import Move, locked_attempt, move_attempt
from disbursements.receipts import is_struck
from disbursements.unrecorded import SETTLED_BY_RECORD, alarm, is_settled
from loans.audit import note_change
from loans.models import LoanStatus, LoanTracking, ReviewReason
from loans.review import raise_review_locked
from mifos.client import Disbursal, LoanDetail

RECORDED_AFTER_ALL = (
    "Two people said that this loan was not paid, and Mifos X shows our disbursement of it: undo "
    "it there; the loan is paid in a new cycle"
)


def look(attempt: DisbursementRequest, loan: LoanDetail) -> bool | None:
    """Find the loan's disbursal in Mifos X: True ours, False for a person, None not there."""
    ours = [each for each in loan.disbursals if is_ours(attempt, each)]
    standing = [each for each in loan.disbursals if not each.is_reversed]
    if ours and all(each.is_reversed for each in ours) and _is_superseded(attempt):
        # It was recorded and undone, which is known: what stands there is the later cycle's.
        complete(attempt, ours[-1])
        return False
    if foreign := [each for each in standing if each not in ours]:
        numbers = ", ".join(str(each.transaction_id) for each in foreign)
        what = f"a disbursement that is not ours ({numbers})"
        message = f"Mifos X shows {what}: possible double payment"
        if is_settled(attempt, message):
            # It is disbursed there, and people know how: left open, it would be said for ever.
            how = f"Settled by two people beside the disbursement {numbers} in Mifos X"
            return complete(attempt, foreign[-1], reason=how)
        alarm(attempt, ReviewReason.DOUBLE_PAYMENT, message)
        return False
    if not standing:
        # A reversed one of ours means that a person undid it after we paid: never post it again.
        if ours:
            alarm(
                attempt,
                ReviewReason.UNDONE_AFTER_PAYMENT,
                "Our disbursement in Mifos X was undone by a person after we paid",
            )
            _close_undone(attempt, ours[-1])
            return False
        return None
    if sum(each.amount for each in standing) != attempt.principal:
        alarm(
            attempt,
            ReviewReason.BOOKS_DIFFER,
            f"Mifos X shows KES {standing[0].amount} disbursed, and the principal is "
            f"{attempt.principal}",
        )
    return complete(attempt, standing[0])


def _close_undone(attempt: DisbursementRequest, undone: Disbursal) -> None:
    """It was recorded: left open, it would take a later cycle's record for a double payment. Not
    while a graver review hides that it was undone: then it is said at the next look."""
    told = ReviewReason.UNDONE_AFTER_PAYMENT
    if LoanTracking.objects.filter(pk=attempt.loan_tracking_id, review_reason=told).exists():
        complete(attempt, undone)


def _is_superseded(attempt: DisbursementRequest) -> bool:
    """Has a person opened a later cycle for this loan?"""
    loan = attempt.loan_tracking
    return LoanTracking.objects.filter(
        partner=loan.partner_id, loan_id=loan.loan_id, cycle__gt=loan.cycle
    ).exists()


def is_ours(attempt: DisbursementRequest, disbursal: Disbursal) -> bool:
    """Ours carries our external id or our receipt (contracts/mifos.md 7): a person may have
    entered what was refused, and a server may give external ids of its own."""
    if disbursal.external_id == attempt.mifos_external_id:
        return True
    receipt = attempt.transaction_receipt
    return bool(receipt) and disbursal.receipt_number == receipt


def complete(attempt: DisbursementRequest, disbursal: Disbursal, *, reason: str = "") -> bool:
    """Move a paid attempt to `completed` and its loan to `disbursed`: verified in Mifos X."""
    now = timezone.now()
    with locked_attempt(attempt.pk) as (current, loan):
        if current.status != AttemptStatus.PAID:
            return current.status == AttemptStatus.COMPLETED
        move_attempt(
            current,
            loan,
            Move(
                to_status=AttemptStatus.COMPLETED,
                actor="Mifos X",
                reason=reason or f"Recorded in Mifos X, receipt {current.transaction_receipt}",
                at=now,
                details={
                    "transaction_id": disbursal.transaction_id,
                    "amount": str(disbursal.amount),
                    "date": str(disbursal.date or ""),
                    "external_id": disbursal.external_id,
                },
                columns={"completed_at": now, "next_record_at": None},
                loan_status=LoanStatus.DISBURSED,
                loan_columns={
                    "disbursed_at": now,
                    "next_attempt_at": None,
                    **_settled(loan),
                },
            ),
        )
        if is_struck(current.transaction_receipt) and not disbursal.is_reversed and not reason:
            _call_to_undo(current, loan, now=now)
    return True


def _call_to_undo(attempt: DisbursementRequest, loan: LoanTracking, *, now: datetime) -> None:
    """Mifos X was being told, or its checker asked, when two people took the receipt back."""
    reason = ReviewReason.BOOKS_DIFFER
    raise_review_locked(
        loan, reason, message=RECORDED_AFTER_ALL, now=now, disbursement_request_id=attempt.pk
    )
    if loan.review_reason == reason and loan.error_message != RECORDED_AFTER_ALL:
        # Called before, to what is over by now.
        note_change(
            loan,
            actor="system",
            reason=RECORDED_AFTER_ALL,
            at=now,
            details={"review": reason.value, "disbursement_request_id": attempt.pk},
            error_message=RECORDED_AFTER_ALL,
        )


def _settled(loan: LoanTracking) -> dict[str, object]:
    if loan.review_reason and loan.review_reason not in SETTLED_BY_RECORD:
        return {}
    return {"review_reason": "", "review_since": None, "error_message": ""}
