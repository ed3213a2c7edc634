"""What "not found" proves: it may confirm a failure that was reported, and nothing alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from disbursements import contradictions, outcomes
from disbursements.models import (
    DisbursementRequest,
)
from disbursements.moves import note_on_attempt
from disbursements.schedule import next_question_at
from disbursements.sending import fail
from disbursements.verdicts import Verdict
from loans.models import LoanTracking, ReviewReason
from loans.review import raise_review_locked
from mpesa.client import DUPLICATE_OR_INTERNAL


def not_found(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime,
    *,
    now: datetime,
) -> str:
    """Weak evidence: it may confirm a reported failure, and never fails alone (rules 6, 7)."""
    if _may_confirm(attempt, loan) and _not_found_confirms_from(attempt) <= asked_at:
        if contradictions.spoke_of_success(attempt, loan):
            return contradictions.after_a_success(attempt, loan, verdict, now=now)
        return _dead_by_absence(attempt, loan, now=now)
    if asked_at > outcomes.sent_at(attempt):
        # Two questions may be answered in any order.
        known = [asked_at, attempt.first_not_found_at, attempt.last_not_found_at]
        times = sorted(at for at in known if at is not None)
        note_on_attempt(attempt, first_not_found_at=times[0], last_not_found_at=times[-1])
    note_on_attempt(attempt, next_query_at=_ask_after_not_found(attempt, loan, now=now))
    outcomes.note(attempt, loan, verdict.reason, now=now)
    if attempt.result_code == DUPLICATE_OR_INTERNAL:
        # Seen and not found: sending again says nothing new (contracts/mpesa.md 2.1).
        raise_review_locked(
            loan,
            ReviewReason.OUTCOME_UNKNOWN,
            message="M-Pesa refuses the id as a duplicate, and does not find a payment under it",
            now=now,
            disbursement_request_id=attempt.pk,
        )
    return verdict.reason


def _dead_by_absence(attempt: DisbursementRequest, loan: LoanTracking, *, now: datetime) -> str:
    reason = f"{attempt.result_code}: {attempt.result_description}; M-Pesa knows no payment"
    fail(
        attempt,
        loan,
        reason=reason,
        evidence={"proof": "failure result and not found", "code": attempt.result_code},
        now=now,
        actor="M-Pesa",
    )
    return reason


def _may_confirm(attempt: DisbursementRequest, loan: LoanTracking) -> bool:
    """May "not found" confirm a reported failure? Not once M-Pesa said anything unclear of it:
    that is for a person (rule 7)."""
    is_clear = loan.review_reason in {"", ReviewReason.OUTCOME_UNKNOWN}
    return attempt.failure_reported_at is not None and (
        (is_clear and not is_failure_doubted(attempt, loan))
        or contradictions.spoke_of_success(attempt, loan)  # then it is a contradiction
    )


def is_failure_doubted(attempt: DisbursementRequest, loan: LoanTracking) -> bool:
    """The loan's review may have spoken of another attempt then, and be over since."""
    said = {
        "review": ReviewReason.FAILURE_UNCONFIRMED.value,
        "disbursement_request_id": attempt.pk,
    }
    return loan.events.filter(details=said).exists()


def _ask_after_not_found(
    attempt: DisbursementRequest, loan: LoanTracking, *, now: datetime
) -> datetime:
    if _may_confirm(attempt, loan):
        return max(_not_found_confirms_from(attempt), now)
    return next_question_at(attempt, now=now)


def _not_found_confirms_from(attempt: DisbursementRequest) -> datetime:
    return outcomes.sent_at(attempt) + timedelta(seconds=settings.LOANPOLL_NOT_FOUND_INTERVAL)
