"""What one result makes of an open attempt, and what it only writes down."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction

from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
)
from disbursements.moves import Move, move_attempt, note_on_attempt
from disbursements.receipts import (
    PROVEN_BY,
    Given,
    given_elsewhere,
    is_held_elsewhere,
    not_its_own,
)
from disbursements.schedule import next_question_at
from disbursements.sending import doubt, fail
from disbursements.verdicts import Proof, Verdict
from loans.audit import lock_loan, note_change
from loans.models import LoanTracking, ReviewReason
from loans.review import raise_review_locked, was_called

STATUS_QUERY = "status query"
SUCCESS_CODE = "0"


def paid(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    others = given_elsewhere(attempt, verdict.receipt)
    if is_held_elsewhere(attempt, verdict.receipt):
        whose = others[0].words if others else "another attempt"
        reason = f"Receipt {verdict.receipt} already belongs to {whose}"
        outcome = mismatch(attempt, loan, Verdict(proof=Proof.MISMATCH, reason=reason), now=now)
    else:
        mark_paid(attempt, loan, verdict, actor=PROVEN_BY, now=now)
        _call_if_given_elsewhere(attempt, loan, others, now=now)
        outcome = verdict.reason
    for other in others:
        # Once this loan is let go: nobody holds two. Should we die in between, its own review
        # tells of the other.
        transaction.on_commit(partial(_call_to_the_other, other, verdict.receipt, now=now))
    return outcome


def _call_if_given_elsewhere(
    attempt: DisbursementRequest, loan: LoanTracking, others: list[Given], *, now: datetime
) -> None:
    """M-Pesa proves for this loan what people took for another's payment: that one may be unpaid,
    and is asked for by nobody any more. Its staff are called, too."""
    if others:
        raise_review_locked(
            loan,
            ReviewReason.BOOKS_DIFFER,
            message=f"Receipt {attempt.transaction_receipt} pays this loan, and two people gave it "
            f"to {others[0].words}: look whether that one was paid",
            now=now,
            disbursement_request_id=attempt.pk,
        )


def _call_to_the_other(other: Given, receipt: str, *, now: datetime) -> None:
    message = not_its_own(receipt)
    with transaction.atomic():
        loan = lock_loan(other.loan_tracking_id)
        if was_called(loan, message):
            return
        raise_review_locked(
            loan,
            ReviewReason.BOOKS_DIFFER,
            message=message,
            now=now,
            disbursement_request_id=other.attempt_id,
        )


def mark_paid(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Move a locked, open attempt to `paid`. Recording it in Mifos X is due from now on."""
    move_attempt(
        attempt,
        loan,
        Move(
            to_status=AttemptStatus.PAID,
            actor=actor,
            reason=verdict.reason,
            at=now,
            details={"receipt": verdict.receipt, "code": verdict.code},
            columns={
                "transaction_receipt": verdict.receipt,
                "transaction_completed_at": verdict.completed_at or now,
                "result_code": verdict.code,
                "result_description": verdict.description[:500],
                "paid_at": now,
                "next_query_at": None,
                "next_record_at": now,
                "resend_at": None,
            },
            loan_columns={
                "mpesa_receipt_number": verdict.receipt,
                "error_message": "",
                "next_attempt_at": now,
                **_review_over(loan),
            },
        ),
    )


def _review_over(loan: LoanTracking) -> dict[str, object]:
    """A settled question needs no person any more; graver causes stay."""
    settled = {ReviewReason.OUTCOME_UNKNOWN, ReviewReason.FAILURE_UNCONFIRMED}
    return {"review_reason": "", "review_since": None} if loan.review_reason in settled else {}


def dead(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    reported = f" ({attempt.result_code}: {attempt.result_description})"
    reason = verdict.reason + (reported if attempt.failure_reported_at else "")
    fail(
        attempt,
        loan,
        reason=reason,
        evidence={"proof": STATUS_QUERY, "said": verdict.reason, "code": attempt.result_code},
        now=now,
        actor="M-Pesa",
    )
    return reason


def reported_failed(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Keep the failure and ask once: it has no signature, and a forged one would pay twice."""
    if attempt.failure_reported_at is not None:
        return "the same failure was reported before; being confirmed"
    asking = f"{verdict.reason}; asking M-Pesa to confirm"
    if attempt.status != AttemptStatus.UNKNOWN:
        put_in_doubt(attempt, loan, asking, ask_at=now, now=now)
    else:
        note(attempt, loan, asking, now=now)
    note_on_attempt(
        attempt,
        result_code=verdict.code[:20],
        result_description=verdict.description[:500],
        failure_reported_at=now,
        next_query_at=now,
    )
    return verdict.reason


def unproven(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Success without its details (rule 8): a person is called, and M-Pesa asked for them."""
    still_open(attempt, loan, verdict, now=now)
    raise_review_locked(
        loan,
        ReviewReason.OUTCOME_UNKNOWN,
        message=verdict.reason,
        now=now,
        disbursement_request_id=attempt.pk,
    )
    return verdict.reason


def mismatch(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    if attempt.status != AttemptStatus.UNKNOWN:
        ask_at = next_question_at(attempt, now=now)
        put_in_doubt(attempt, loan, verdict.reason, ask_at=ask_at, now=now)
    raise_review_locked(
        loan,
        ReviewReason.RESULT_MISMATCH,
        message=verdict.reason,
        now=now,
        disbursement_request_id=attempt.pk,
    )
    return f"review: {verdict.reason}"


def answered_nothing(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Answered without a verdict: earlier "not found" answers no longer stand alone."""
    note_on_attempt(attempt, first_not_found_at=None, last_not_found_at=None)
    if attempt.failure_reported_at is not None and not verdict.code:
        doubt_report(attempt, loan, verdict, now=now)
    note(attempt, loan, verdict.reason, now=now)
    return verdict.reason


def doubt_report(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> None:
    raise_review_locked(
        loan,
        ReviewReason.FAILURE_UNCONFIRMED,
        message=f"A failure is not certain: {verdict.reason}",
        now=now,
        disbursement_request_id=attempt.pk,
    )


def still_open(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    facts = {
        "result_code": verdict.code[:20] or attempt.result_code,
        "result_description": verdict.description[:500] or attempt.result_description,
    }
    if attempt.status != AttemptStatus.UNKNOWN:
        ask_at = now + timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER)
        put_in_doubt(attempt, loan, verdict.reason, ask_at=ask_at, now=now)
    else:
        note(attempt, loan, verdict.reason, now=now)
    if attempt.failure_reported_at is not None and verdict.code:
        doubt_report(attempt, loan, verdict, now=now)
    if attempt.result_code != SUCCESS_CODE or verdict.code == SUCCESS_CODE:
        # A success once spoken of is never forgotten: it forbids every failure.
        note_on_attempt(attempt, **facts)
    return verdict.reason


def sent_at(attempt: DisbursementRequest) -> datetime:
    return attempt.last_sent_at or attempt.created_at


def put_in_doubt(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    reason: str,
    *,
    ask_at: datetime,
    now: datetime,
) -> None:
    doubt(attempt, loan, reason=reason, details={}, ask_at=ask_at, now=now)


def note(attempt: DisbursementRequest, loan: LoanTracking, reason: str, *, now: datetime) -> None:
    note_change(
        loan,
        actor="M-Pesa",
        reason=reason,
        at=now,
        details={"disbursement_request_id": attempt.pk},
    )
