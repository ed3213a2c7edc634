"""Applies what a result proves to a locked attempt. What is final stays as it is."""

from __future__ import annotations

from datetime import datetime

from disbursements import absence, contradictions, outcomes
from disbursements.contradictions import RECONCILE, UNLISTED
from disbursements.models import (
    CLOSED_STATES,
    OPEN_STATES,
    AttemptStatus,
    DisbursementRequest,
)
from disbursements.moves import locked_attempt, note_on_attempt
from disbursements.outcomes import SUCCESS_CODE
from disbursements.verdicts import Promise, Proof, Verdict
from loans.audit import note_change
from loans.models import LoanTracking, ReviewReason
from loans.review import raise_review_locked


def promise_of(attempt: DisbursementRequest) -> Promise:
    return Promise(
        originator_conversation_id=attempt.originator_conversation_id,
        amount=attempt.amount,
        msisdn=attempt.msisdn,
    )


def apply_verdict(
    attempt_pk: int, verdict: Verdict, *, now: datetime, asked_at: datetime | None = None
) -> str:
    """Do what the verdict allows, under the loan's lock; return what was done, in words.

    `asked_at` is when the status query was sent that this answers; None for a B2C result.
    """
    with locked_attempt(attempt_pk, savepoint=False) as (attempt, loan):
        if attempt.status in CLOSED_STATES:
            return contradictions.once_closed(attempt, loan, verdict, asked_at, now=now)
        return _while_open(attempt, loan, verdict, asked_at, now=now)


def ask_soon(attempt_pk: int, *, reason: str, now: datetime) -> None:
    """Let the next pass ask M-Pesa about an open attempt. Moves nothing."""
    with locked_attempt(attempt_pk) as (attempt, loan):
        if attempt.status in OPEN_STATES:
            note_on_attempt(attempt, next_query_at=now)
            outcomes.note(attempt, loan, f"{reason}; asking M-Pesa", now=now)


def doubt_closed(attempt_pk: int, verdict: Verdict, *, now: datetime) -> str:
    """Call a person when a letter of doubtful source contradicts a closed attempt. It stops no
    shortcode: that would be in the hands of whoever sent it."""
    with locked_attempt(attempt_pk) as (attempt, loan):
        message = contradictions.contradiction_in(attempt, verdict)
        if not message:
            return "says nothing new"
        raise_review_locked(
            loan,
            ReviewReason.CONTRADICTION,
            message=f"{message}, from an address that is not Safaricom's on our list",
            now=now,
            actor=UNLISTED,
            disbursement_request_id=attempt.pk,
        )
        return f"a person looks: {message}"


def doubt_failure(attempt_pk: int, verdict: Verdict, *, now: datetime) -> None:
    """A letter of doubtful source speaks of a success: from now on "not found" fails nothing.

    One that waits to be sent (again) is in doubt, whatever its sends say: M-Pesa is asked.
    """
    if verdict.proof not in {Proof.PAID, Proof.MISMATCH, Proof.UNPROVEN}:
        return
    with locked_attempt(attempt_pk) as (attempt, loan):
        if attempt.status not in OPEN_STATES:
            return
        if attempt.status == AttemptStatus.SUBMITTING:
            outcomes.put_in_doubt(attempt, loan, verdict.reason, ask_at=now, now=now)
        outcomes.doubt_report(attempt, loan, verdict, now=now)


def heed_statement(attempt_pk: int, *, receipt: str, reason: str, now: datetime) -> None:
    """The M-PESA statement shows an open attempt as paid: from now on nothing fails it by itself.

    The row fits by phone and amount only, so it proves nothing: M-Pesa is asked, or people settle
    it. One that waits to be sent (again) is in doubt from now on, whatever its sends say.
    """
    with locked_attempt(attempt_pk) as (attempt, loan):
        told = loan.events.filter(
            details__disbursement_request_id=attempt.pk, details__says_paid=receipt
        )
        if attempt.status not in OPEN_STATES or told.exists():
            return
        if attempt.status == AttemptStatus.SUBMITTING:
            outcomes.put_in_doubt(attempt, loan, reason, ask_at=now, now=now)
        if attempt.result_code != SUCCESS_CODE:  # M-Pesa's own word is not written over
            note_on_attempt(attempt, result_code=SUCCESS_CODE, result_description=reason[:500])
        note_change(
            loan,
            actor=RECONCILE,
            reason=reason,
            at=now,
            details={"disbursement_request_id": attempt.pk, "says_paid": receipt},
        )


def _while_open(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime | None,
    *,
    now: datetime,
) -> str:
    match verdict.proof:
        case Proof.PAID if attempt.failure_reported_at is not None:
            # Rule 7: a reported failure and a success do not both hold, so neither does.
            return contradictions.contradiction(
                attempt, loan, f"A failure was reported, and now: {verdict.reason}", now=now
            )
        case Proof.PAID:
            return outcomes.paid(attempt, loan, verdict, now=now)
        case Proof.DEAD | Proof.REPORTED_FAILED if contradictions.spoke_of_success(attempt, loan):
            return contradictions.after_a_success(attempt, loan, verdict, now=now)
        case Proof.DEAD if asked_at is None or asked_at > outcomes.sent_at(attempt):
            return outcomes.dead(attempt, loan, verdict, now=now)
        case Proof.DEAD:  # asked before the last send left: it proves nothing of that one
            return outcomes.answered_nothing(attempt, loan, verdict, now=now)
        case Proof.REPORTED_FAILED:
            return outcomes.reported_failed(attempt, loan, verdict, now=now)
        case Proof.NOT_FOUND:
            return absence.not_found(attempt, loan, verdict, asked_at or now, now=now)
        case Proof.UNPROVEN:
            return outcomes.unproven(attempt, loan, verdict, now=now)
        case Proof.MISMATCH:
            return outcomes.mismatch(attempt, loan, verdict, now=now)
        case _ if asked_at is not None:
            return outcomes.answered_nothing(attempt, loan, verdict, now=now)
        case _:
            return outcomes.still_open(attempt, loan, verdict, now=now)
