"""What does not both hold of one payment. Here nothing moves money: people decide."""

from __future__ import annotations

from datetime import datetime

from disbursements.models import (
    MONEY_MOVED,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
)
from disbursements.moves import note_on_attempt
from disbursements.outcomes import STATUS_QUERY, SUCCESS_CODE
from disbursements.policy import next_automatic_attempt
from disbursements.questioned import questioned, unsettled
from disbursements.verdicts import Proof, Verdict
from loans.audit import note_change
from loans.models import LoanStatus, LoanTracking, ReviewReason
from loans.review import OF_A_SUCCESS, raise_review_locked
from mpesa.shortcodes import open_breaker

UNLISTED = "an unlisted address"
RECONCILE = "reconcile"
UNCLEAR = "an unclear answer"
# Actors of a review that stopped no shortcode: M-Pesa itself did not contradict itself.
STOP_NOTHING = (UNLISTED, RECONCILE, UNCLEAR)


def spoke_of_success(attempt: DisbursementRequest, loan: LoanTracking) -> bool:
    """A later answer proves no failure then: a new attempt might pay twice. People decide."""
    return (
        attempt.result_code == SUCCESS_CODE
        or loan.review_reason in OF_A_SUCCESS
        or attempt.pk in questioned(loan)
        or _is_proposed_as_paid(attempt)
    )


def _is_proposed_as_paid(attempt: DisbursementRequest) -> bool:
    """Does one person say so, with the statement in hand, and wait for the second?"""
    return attempt.resolutions.filter(
        outcome=ResolutionOutcome.PAID, confirmed_at=None, withdrawn_at=None
    ).exists()


def contradiction_in(attempt: DisbursementRequest, verdict: Verdict) -> str:
    """Return how a verdict contradicts a closed attempt, or the empty text."""
    if attempt.status in MONEY_MOVED:
        same = verdict.proof == Proof.PAID and verdict.receipt == attempt.transaction_receipt
        is_fine = same or verdict.proof in {Proof.OPEN, Proof.NOT_FOUND, Proof.UNPROVEN}
        return "" if is_fine else f"It is paid, and now: {verdict.reason}"
    if verdict.proof in {Proof.PAID, Proof.MISMATCH, Proof.UNPROVEN}:
        return f"It was proven failed, and now: {verdict.reason}"
    return ""


def once_closed(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime | None,
    *,
    now: datetime,
) -> str:
    message = contradiction_in(attempt, verdict)
    if message:
        return contradiction(attempt, loan, message, now=now)
    if verdict.proof == Proof.OPEN and _may_still_pay(attempt, loan, verdict, asked_at):
        return _unclear_again(attempt, loan, verdict, now=now)
    is_late_reason = verdict.proof == Proof.REPORTED_FAILED and not attempt.result_code
    if attempt.status == AttemptStatus.FAILED and is_late_reason:
        return _late_reason(attempt, loan, verdict, now=now)
    return f"already {attempt.get_status_display().lower()}; nothing to do"


def _may_still_pay(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime | None,
) -> bool:
    """Does M-Pesa work on a failed attempt, in an answer or by a result that is not final? Beside
    its own "Cancelled" it is old news: answers come in any order."""
    if attempt.status != AttemptStatus.FAILED or (asked_at is None) != bool(verdict.code):
        return False
    closings = loan.events.filter(
        disbursement_request_id=attempt.pk, to_status=AttemptStatus.FAILED
    )
    return not closings.filter(details__proof=STATUS_QUERY).exists()


def _unclear_again(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Unclear beats absent, in whatever order they come: people decide, and nothing stops."""
    message = f"It was closed as failed, and now: {verdict.reason}"
    return _let_people_look(attempt, loan, message, now=now)


def _late_reason(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """The status query was faster than the result that says why: its code decides what follows."""
    note_on_attempt(
        attempt, result_code=verdict.code[:20], result_description=verdict.description[:500]
    )
    later = loan.attempts.filter(attempt_no__gt=attempt.attempt_no)
    if loan.status == LoanStatus.FAILED and not loan.review_reason and not later.exists():
        note_change(
            loan,
            actor="M-Pesa",
            reason=verdict.reason,
            at=now,
            details={"disbursement_request_id": attempt.pk},
            error_message=verdict.reason[:500],
            next_attempt_at=next_automatic_attempt(attempt, code=verdict.code, now=now),
        )
    return f"already failed, and now it says why: {verdict.reason}"


def after_a_success(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """A success was spoken of, and now a failure. A person decides, and the shortcode stops; only
    when M-Pesa itself spoke of it, and of this attempt: the statement's row fits by likeness, and
    what another attempt is in doubt for is no word about this one."""
    message = f"A success was reported, and now: {verdict.reason}"
    if _has_spoken_of_success(attempt, loan):
        return contradiction(attempt, loan, message, now=now)
    return _let_people_look(attempt, loan, message, now=now)


def _has_spoken_of_success(attempt: DisbursementRequest, loan: LoanTracking) -> bool:
    """Has M-Pesa itself called this attempt paid?"""
    said = loan.events.filter(details__review__in=[each.value for each in OF_A_SUCCESS])
    if attempt.pk in unsettled(loan, said.exclude(actor__in=STOP_NOTHING)):
        return True
    rows = loan.events.filter(
        details__disbursement_request_id=attempt.pk, details__has_key="says_paid"
    )
    is_the_statements = rows.filter(reason=attempt.result_description).exists()
    return attempt.result_code == SUCCESS_CODE and not is_the_statements


def contradiction(
    attempt: DisbursementRequest, loan: LoanTracking, message: str, *, now: datetime
) -> str:
    """Nothing moves, a person is called, and the shortcode stops: its rail is in doubt."""
    # A person may have let the shortcode pay again since: one loan stops it once.
    was_stopped = _has_stopped(loan)
    raise_review_locked(
        loan,
        ReviewReason.CONTRADICTION,
        message=message,
        now=now,
        disbursement_request_id=attempt.pk,
    )
    if not was_stopped:
        open_breaker(
            attempt.mpesa_environment,
            attempt.mpesa_shortcode,
            cause=f"M-Pesa contradicts itself on {attempt.originator_conversation_id}",
            now=now,
            is_credential_refused=False,
        )
    return f"contradiction: {message}"


def _let_people_look(
    attempt: DisbursementRequest, loan: LoanTracking, message: str, *, now: datetime
) -> str:
    """Two things do not both hold, and M-Pesa did not say both of this attempt: nothing stops."""
    raise_review_locked(
        loan,
        ReviewReason.CONTRADICTION,
        message=message,
        now=now,
        actor=UNCLEAR,
        disbursement_request_id=attempt.pk,
    )
    return f"a person looks: {message}"


def _has_stopped(loan: LoanTracking) -> bool:
    """Did M-Pesa itself contradict itself on this loan, and not only a letter from elsewhere? What
    two people have settled since is over. A graver cause may stand on the loan."""
    if loan.review_reason not in OF_A_SUCCESS:
        return False
    said = loan.events.filter(details__review=ReviewReason.CONTRADICTION.value)
    return bool(unsettled(loan, said.exclude(actor__in=STOP_NOTHING)))
