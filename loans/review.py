"""Calls a person to a loan, and notes when the cause is gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from loans.audit import lock_loan, note_change
from loans.models import LoanTracking, ReviewReason

# While one of these stands, M-Pesa, its statement or Mifos X has spoken of a success.
OF_A_SUCCESS = frozenset(
    {
        ReviewReason.RESULT_MISMATCH,
        ReviewReason.CONTRADICTION,
        ReviewReason.DOUBLE_PAYMENT,
        ReviewReason.BOOKS_DIFFER,
    }
)
# What they say of an attempt is kept in the trail, too: a graver cause may stand in the column.
KEPT = OF_A_SUCCESS | {ReviewReason.FAILURE_UNCONFIRMED}
CALLED = "Needs a person: "  # how the event begins that raises a review
SETTLED = "settled"  # in an event's details: the resolution that two people confirmed
# A graver cause replaces a lighter one; a lighter one never hides a graver one.
GRAVITY = [
    ReviewReason.OUTCOME_UNKNOWN,
    ReviewReason.FAILURE_UNCONFIRMED,
    ReviewReason.MIFOS_CHANGED,
    ReviewReason.PAID_NOT_RECORDED,
    ReviewReason.CHECKER_REJECTED,
    ReviewReason.BOOKS_DIFFER,
    ReviewReason.RESULT_MISMATCH,
    ReviewReason.UNDONE_AFTER_PAYMENT,
    ReviewReason.CONTRADICTION,
    ReviewReason.DOUBLE_PAYMENT,
]


def raise_review(
    pk: int,
    reason: ReviewReason,
    *,
    message: str,
    now: datetime,
    actor: str = "system",
    disbursement_request_id: int | None = None,
) -> None:
    """Put the loan in the work queue, in its own transaction or the caller's."""
    with transaction.atomic():
        raise_review_locked(
            lock_loan(pk),
            reason,
            message=message,
            now=now,
            actor=actor,
            disbursement_request_id=disbursement_request_id,
        )


def raise_review_locked(
    loan: LoanTracking,
    reason: ReviewReason,
    *,
    message: str,
    now: datetime,
    actor: str = "system",
    disbursement_request_id: int | None = None,
) -> None:
    """Put a locked loan in the work queue; the same cause is said once."""
    details: dict[str, Any] = {"review": reason.value}
    if disbursement_request_id is not None:
        details["disbursement_request_id"] = disbursement_request_id
    if loan.review_reason and not _is_graver(reason, ReviewReason(loan.review_reason)):
        if reason in KEPT and not _was_said(loan, details, actor):
            # The column speaks of another attempt; the trail speaks of both.
            note_change(loan, actor=actor, reason=message, at=now, details=details)
        return
    note_change(
        loan,
        actor=actor,
        reason=f"{CALLED}{message}",
        at=now,
        details=details,
        review_reason=reason,
        review_since=now,
        error_message=message[:500],
    )


def was_called(loan: LoanTracking, message: str) -> bool:
    """Was a person called with these words before? He has seen it, and may have settled it."""
    return loan.events.filter(reason__in=[f"{CALLED}{message}"[:500], message[:500]]).exists()


def _was_said(loan: LoanTracking, details: dict[str, Any], actor: str) -> bool:
    """Said, and not settled by two people since: after that it is news."""
    said = loan.events.filter(details=details, actor=actor).order_by("-id")
    last = said.values_list("id", flat=True).first()
    if last is None:
        return False
    settled = loan.events.filter(details__has_key=SETTLED, id__gt=last)
    whose = details.get("disbursement_request_id")
    if whose is not None:
        settled = settled.filter(details__disbursement_request_id=whose)
    return not settled.exists()


def _is_graver(new: ReviewReason, old: ReviewReason) -> bool:
    return GRAVITY.index(new) > GRAVITY.index(old)
