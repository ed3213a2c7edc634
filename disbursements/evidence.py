"""Applies what a result proves to a locked attempt. What is final stays as it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from disbursements.models import (
    CLOSED_STATES,
    MONEY_MOVED,
    OPEN_STATES,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from disbursements.moves import Move, locked_attempt, move_attempt, note_on_attempt
from disbursements.policy import next_automatic_attempt
from disbursements.questioned import questioned, unsettled
from disbursements.schedule import next_question_at
from disbursements.sending import doubt, fail
from disbursements.verdicts import Promise, Proof, Verdict
from loans.audit import note_change
from loans.models import LoanStatus, LoanTracking, ReviewReason
from loans.review import OF_A_SUCCESS, raise_review_locked
from mpesa.client import DUPLICATE_OR_INTERNAL
from mpesa.shortcodes import open_breaker
from prepared.statements import Slot, Tuples

# Another lender may pay from the same shortcode. By the loan's receipt, which has an index.
_with_receipt = Tuples(
    lambda: DisbursementRequest.objects.filter(
        Q(partner=Slot("partner"))
        | Q(mpesa_environment=Slot("environment"), mpesa_shortcode=Slot("shortcode")),
        loan_tracking__mpesa_receipt_number=Slot("receipt"),
        transaction_receipt=Slot("receipt"),
    ).values_list("pk")
)
# A failed attempt that was paid after all holds no receipt: what two people said of it does.
_given_by_people = Tuples(
    lambda: ReviewResolution.objects.filter(
        Q(disbursement_request__partner=Slot("partner"))
        | Q(
            disbursement_request__mpesa_environment=Slot("environment"),
            disbursement_request__mpesa_shortcode=Slot("shortcode"),
        ),
        outcome=ResolutionOutcome.PAID,
        receipt=Slot("receipt"),
        confirmed_at__isnull=False,
    ).values_list(
        "disbursement_request_id",
        "disbursement_request__partner_id",
        "disbursement_request__loan_tracking__loan_id",
    )
)

SUCCESS_CODE = "0"
UNLISTED = "an unlisted address"
RECONCILE = "reconcile"
UNCLEAR = "an unclear answer"
# Actors of a review that stopped no shortcode: M-Pesa itself did not contradict itself.
STOP_NOTHING = (UNLISTED, RECONCILE, UNCLEAR)
STATUS_QUERY = "status query"


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
            return _once_closed(attempt, loan, verdict, asked_at, now=now)
        return _while_open(attempt, loan, verdict, asked_at, now=now)


def ask_soon(attempt_pk: int, *, reason: str, now: datetime) -> None:
    """Let the next pass ask M-Pesa about an open attempt. Moves nothing."""
    with locked_attempt(attempt_pk) as (attempt, loan):
        if attempt.status in OPEN_STATES:
            note_on_attempt(attempt, next_query_at=now)
            _note(attempt, loan, f"{reason}; asking M-Pesa", now=now)


def doubt_closed(attempt_pk: int, verdict: Verdict, *, now: datetime) -> str:
    """Call a person when a letter of doubtful source contradicts a closed attempt. It stops no
    shortcode: that would be in the hands of whoever sent it."""
    with locked_attempt(attempt_pk) as (attempt, loan):
        message = contradiction_in(attempt, verdict)
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
            _doubt(attempt, loan, verdict.reason, ask_at=now, now=now)
        _doubt_failure(attempt, loan, verdict, now=now)


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
            _doubt(attempt, loan, reason, ask_at=now, now=now)
        if attempt.result_code != SUCCESS_CODE:  # M-Pesa's own word is not written over
            note_on_attempt(attempt, result_code=SUCCESS_CODE, result_description=reason[:500])
        note_change(
            loan,
            actor=RECONCILE,
            reason=reason,
            at=now,
            details={"disbursement_request_id": attempt.pk, "says_paid": receipt},
        )


def contradiction_in(attempt: DisbursementRequest, verdict: Verdict) -> str:
    """Return how a verdict contradicts a closed attempt, or the empty text."""
    if attempt.status in MONEY_MOVED:
        same = verdict.proof == Proof.PAID and verdict.receipt == attempt.transaction_receipt
        is_fine = same or verdict.proof in {Proof.OPEN, Proof.NOT_FOUND, Proof.UNPROVEN}
        return "" if is_fine else f"It is paid, and now: {verdict.reason}"
    if verdict.proof in {Proof.PAID, Proof.MISMATCH, Proof.UNPROVEN}:
        return f"It was proven failed, and now: {verdict.reason}"
    return ""


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
            return _contradiction(
                attempt, loan, f"A failure was reported, and now: {verdict.reason}", now=now
            )
        case Proof.PAID:
            return _paid(attempt, loan, verdict, now=now)
        case Proof.DEAD | Proof.REPORTED_FAILED if spoke_of_success(attempt, loan):
            return _after_a_success(attempt, loan, verdict, now=now)
        case Proof.DEAD if asked_at is None or asked_at > _sent_at(attempt):
            return _dead(attempt, loan, verdict, now=now)
        case Proof.DEAD:  # asked before the last send left: it proves nothing of that one
            return _answered_nothing(attempt, loan, verdict, now=now)
        case Proof.REPORTED_FAILED:
            return _reported_failed(attempt, loan, verdict, now=now)
        case Proof.NOT_FOUND:
            return _not_found(attempt, loan, verdict, asked_at or now, now=now)
        case Proof.UNPROVEN:
            return _unproven(attempt, loan, verdict, now=now)
        case Proof.MISMATCH:
            return _mismatch(attempt, loan, verdict, now=now)
        case _ if asked_at is not None:
            return _answered_nothing(attempt, loan, verdict, now=now)
        case _:
            return _still_open(attempt, loan, verdict, now=now)


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


def _paid(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    if is_held_elsewhere(attempt, verdict.receipt):
        reason = f"Receipt {verdict.receipt} already belongs to another attempt"
        return _mismatch(attempt, loan, Verdict(proof=Proof.MISMATCH, reason=reason), now=now)
    mark_paid(attempt, loan, verdict, actor="M-Pesa", now=now)
    _call_if_given_elsewhere(attempt, loan, now=now)
    return verdict.reason


def is_held_elsewhere(attempt: DisbursementRequest, receipt: str) -> bool:
    """Does another attempt of this lender, or of one that shares its shortcode, hold it? A receipt
    is one payment of the shortcode's account."""
    holders = _with_receipt.all(**_account_of(attempt), receipt=receipt)
    return any(pk != attempt.pk for (pk,) in holders)


def given_elsewhere(attempt: DisbursementRequest, receipt: str) -> list[str]:
    """Return, in words, the loans but this attempt's to which two people gave this receipt."""
    given = _given_by_people.all(**_account_of(attempt), receipt=receipt)
    return [
        f"loan {loan_id}" if partner == attempt.partner_id else "a loan of another lender"
        for pk, partner, loan_id in given
        if pk != attempt.pk
    ]


def _account_of(attempt: DisbursementRequest) -> dict[str, object]:
    return {
        "partner": attempt.partner_id,
        "environment": attempt.mpesa_environment,
        "shortcode": attempt.mpesa_shortcode,
    }


def _call_if_given_elsewhere(
    attempt: DisbursementRequest, loan: LoanTracking, *, now: datetime
) -> None:
    """M-Pesa proves for this loan what people took for another's payment: that one may be unpaid,
    and is asked for by nobody any more."""
    others = given_elsewhere(attempt, attempt.transaction_receipt)
    if others:
        raise_review_locked(
            loan,
            ReviewReason.BOOKS_DIFFER,
            message=f"Receipt {attempt.transaction_receipt} pays this loan, and two people gave it "
            f"to {others[0]}: look whether that one was paid",
            now=now,
            disbursement_request_id=attempt.pk,
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


def _dead(
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


def _reported_failed(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Keep the failure and ask once: it has no signature, and a forged one would pay twice."""
    if attempt.failure_reported_at is not None:
        return "the same failure was reported before; being confirmed"
    if attempt.status != AttemptStatus.UNKNOWN:
        _doubt(attempt, loan, f"{verdict.reason}; asking M-Pesa to confirm", ask_at=now, now=now)
    else:
        _note(attempt, loan, f"{verdict.reason}; asking M-Pesa to confirm", now=now)
    note_on_attempt(
        attempt,
        result_code=verdict.code[:20],
        result_description=verdict.description[:500],
        failure_reported_at=now,
        next_query_at=now,
    )
    return verdict.reason


def _not_found(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime,
    *,
    now: datetime,
) -> str:
    """Weak evidence: it may confirm a reported failure, and never fails alone (rules 6, 7)."""
    if _may_confirm(attempt, loan) and _not_found_confirms_from(attempt) <= asked_at:
        if spoke_of_success(attempt, loan):
            return _after_a_success(attempt, loan, verdict, now=now)
        return _dead_by_absence(attempt, loan, now=now)
    if asked_at > _sent_at(attempt):
        # Two questions may be answered in any order.
        known = [asked_at, attempt.first_not_found_at, attempt.last_not_found_at]
        times = sorted(at for at in known if at is not None)
        note_on_attempt(attempt, first_not_found_at=times[0], last_not_found_at=times[-1])
    note_on_attempt(attempt, next_query_at=_ask_after_not_found(attempt, loan, now=now))
    _note(attempt, loan, verdict.reason, now=now)
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
        or spoke_of_success(attempt, loan)  # then it is a contradiction
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
    return _sent_at(attempt) + timedelta(seconds=settings.LOANPOLL_NOT_FOUND_INTERVAL)


def _sent_at(attempt: DisbursementRequest) -> datetime:
    return attempt.last_sent_at or attempt.created_at


def _unproven(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Success without its details (rule 8): a person is called, and M-Pesa asked for them."""
    _still_open(attempt, loan, verdict, now=now)
    raise_review_locked(
        loan,
        ReviewReason.OUTCOME_UNKNOWN,
        message=verdict.reason,
        now=now,
        disbursement_request_id=attempt.pk,
    )
    return verdict.reason


def _mismatch(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    if attempt.status != AttemptStatus.UNKNOWN:
        ask_at = next_question_at(attempt, now=now)
        _doubt(attempt, loan, verdict.reason, ask_at=ask_at, now=now)
    raise_review_locked(
        loan,
        ReviewReason.RESULT_MISMATCH,
        message=verdict.reason,
        now=now,
        disbursement_request_id=attempt.pk,
    )
    return f"review: {verdict.reason}"


def _answered_nothing(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """Answered without a verdict: earlier "not found" answers no longer stand alone."""
    note_on_attempt(attempt, first_not_found_at=None, last_not_found_at=None)
    if attempt.failure_reported_at is not None and not verdict.code:
        _doubt_failure(attempt, loan, verdict, now=now)
    _note(attempt, loan, verdict.reason, now=now)
    return verdict.reason


def _doubt_failure(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> None:
    raise_review_locked(
        loan,
        ReviewReason.FAILURE_UNCONFIRMED,
        message=f"A failure is not certain: {verdict.reason}",
        now=now,
        disbursement_request_id=attempt.pk,
    )


def _still_open(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    facts = {
        "result_code": verdict.code[:20] or attempt.result_code,
        "result_description": verdict.description[:500] or attempt.result_description,
    }
    if attempt.status != AttemptStatus.UNKNOWN:
        ask_at = now + timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER)
        _doubt(attempt, loan, verdict.reason, ask_at=ask_at, now=now)
    else:
        _note(attempt, loan, verdict.reason, now=now)
    if attempt.failure_reported_at is not None and verdict.code:
        _doubt_failure(attempt, loan, verdict, now=now)
    if attempt.result_code != SUCCESS_CODE or verdict.code == SUCCESS_CODE:
        # A success once spoken of is never forgotten: it forbids every failure.
        note_on_attempt(attempt, **facts)
    return verdict.reason


def _once_closed(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    verdict: Verdict,
    asked_at: datetime | None,
    *,
    now: datetime,
) -> str:
    message = contradiction_in(attempt, verdict)
    if message:
        return _contradiction(attempt, loan, message, now=now)
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


def _after_a_success(
    attempt: DisbursementRequest, loan: LoanTracking, verdict: Verdict, *, now: datetime
) -> str:
    """A success was spoken of, and now a failure. A person decides, and the shortcode stops; only
    when M-Pesa itself spoke of it, and of this attempt: the statement's row fits by likeness, and
    what another attempt is in doubt for is no word about this one."""
    message = f"A success was reported, and now: {verdict.reason}"
    if _has_spoken_of_success(attempt, loan):
        return _contradiction(attempt, loan, message, now=now)
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


def _contradiction(
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


def _has_stopped(loan: LoanTracking) -> bool:
    """Did M-Pesa itself contradict itself on this loan, and not only a letter from elsewhere? What
    two people have settled since is over. A graver cause may stand on the loan."""
    if loan.review_reason not in OF_A_SUCCESS:
        return False
    said = loan.events.filter(details__review=ReviewReason.CONTRADICTION.value)
    return bool(unsettled(loan, said.exclude(actor__in=STOP_NOTHING)))


def _doubt(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    reason: str,
    *,
    ask_at: datetime,
    now: datetime,
) -> None:
    doubt(attempt, loan, reason=reason, details={}, ask_at=ask_at, now=now)


def _note(attempt: DisbursementRequest, loan: LoanTracking, reason: str, *, now: datetime) -> None:
    note_change(
        loan,
        actor="M-Pesa",
        reason=reason,
        at=now,
        details={"disbursement_request_id": attempt.pk},
    )
