"""A new attempt for a loan whose last one is proven dead: by policy, or because a person asks."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from disbursements.models import AttemptStatus
from loans.audit import EventDraft, lock_loan, move_loan
from loans.models import ApprovalState, LoanStatus, LoanTracking
from partners.models import Partner

WHY_NOT = {
    LoanStatus.PENDING: "it waits already: {hold}",
    LoanStatus.PROCESSING: "a payment is open and its outcome is not proven; ask M-Pesa instead",
    LoanStatus.DISBURSED: "it is paid and recorded",
    LoanStatus.CANCELLED: "it left Mifos X's waiting list; approved again, it comes back by itself",
}


class RetryRefused(Exception):
    """No new attempt may be opened. The text says why, for staff."""


def retry_loan(pk: int, *, actor: str, reason: str, now: datetime) -> LoanTracking:
    """Let a failed loan be paid by a new attempt. Raises RetryRefused in every other status."""
    if not reason.strip():
        raise RetryRefused("A reason is required; it is kept in the history.")
    with transaction.atomic():
        loan = lock_loan(pk)
        refusal = retry_refusal(loan)
        if refusal:
            raise RetryRefused(refusal)
        # They were for the payment that failed (reliability.md O11); so was an open request.
        loan.approvals.exclude(state=ApprovalState.DECLINED).update(state=ApprovalState.EXPIRED)
        _reopen(loan, actor=actor, reason=f"New attempt asked for: {reason}", now=now)
    return loan


def retry_refusal(loan: LoanTracking) -> str:
    """Return why no new attempt may be opened for this loan now, or the empty text."""
    if loan.status != LoanStatus.FAILED:
        why = WHY_NOT[LoanStatus(loan.status)].format(
            hold=loan.error_message or "next pass pays it"
        )
        return f"Loan {loan.loan_id} cannot be retried: {why}."
    if loan.review_reason:
        return f"Loan {loan.loan_id} is in review: {loan.error_message}"
    live = loan.attempts.exclude(status=AttemptStatus.FAILED).first()
    if live is not None:
        return f"Loan {loan.loan_id} has attempt {live.attempt_no} that is not proven dead."
    return ""


def retry_by_policy(partner: Partner, *, now: datetime) -> int:
    """Reopen the loans whose failure allows a new attempt by itself, now. Returns how many."""
    due = LoanTracking.objects.filter(
        partner=partner, status=LoanStatus.FAILED, next_attempt_at__lte=now, review_reason=""
    )
    return sum(_reopen_by_policy(pk, now=now) for pk in list(due.values_list("pk", flat=True)))


def is_retried(loan: LoanTracking, *, now: datetime) -> bool:
    """Does the result code's policy allow a new attempt of this loan now?"""
    is_due = loan.next_attempt_at is not None and loan.next_attempt_at <= now
    return is_due and not retry_refusal(loan)


def _reopen_by_policy(pk: int, *, now: datetime) -> bool:
    with transaction.atomic():
        loan = lock_loan(pk)
        if not is_retried(loan, now=now):
            return False
        _reopen(loan, actor="system", reason="New attempt by the result code's policy", now=now)
    return True


def _reopen(loan: LoanTracking, *, actor: str, reason: str, now: datetime) -> None:
    move_loan(
        loan,
        LoanStatus.PENDING,
        draft=EventDraft(
            from_status=loan.status,
            to_status=LoanStatus.PENDING,
            actor=actor,
            reason=reason,
            at=now,
        ),
        error_message="",
        hold_reason="",
        next_attempt_at=None,
        decided_at=None,
    )
