"""One send to M-Pesa, and what each of its answers means. The only place that pays.

The attempt is committed before this is called. If the process dies anywhere below, the row says
`submitting` with a send in doubt, and asking (never guessing) takes over.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from disbursements.claiming import Claim, is_stale
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import Move, locked_attempt, move_attempt, note_on_attempt
from disbursements.policy import next_automatic_attempt
from disbursements.questioned import questioned
from disbursements.reread import FreshLoan
from loans.audit import note_change
from loans.models import LoanStatus, LoanTracking
from loans.review import OF_A_SUCCESS
from mpesa.client import (
    DUPLICATE_OR_INTERNAL,
    Accepted,
    MpesaClient,
    MpesaCredentials,
    MpesaError,
    MpesaNotSent,
    MpesaRefused,
    MpesaThrottled,
    MpesaUnknown,
    PaymentOrder,
)
from mpesa.shortcodes import is_stopped, open_breaker
from partners.models import Partner
from partners.overlap import leave_database

logger = logging.getLogger(__name__)
Answer = Accepted | MpesaError
LONGEST_BACKOFF = 60  # times LOANPOLL_BACKOFF_BASE
REPORTED_COLUMNS = ("status", "conversation_id", "transaction_receipt", "result_code")
SHORTEST_RECHECK_AGE = 1.0  # seconds; below this no send could ever be young enough


def recheck_max_age() -> float:
    """Return how old (seconds) the last look into Mifos X may be when money is asked for."""
    return max(settings.LOANPOLL_RECHECK_MAX_AGE, SHORTEST_RECHECK_AGE)


def send(claim: Claim, *, fresh: FreshLoan, mpesa: MpesaClient) -> Answer:
    """Send one claimed attempt and keep what came back. M-Pesa's errors are returned."""
    answer = _ask(claim, fresh=fresh, mpesa=mpesa)
    note_answer(claim.attempt, answer, now=timezone.now())
    return answer


def note_answer(attempt: DisbursementRequest, answer: Answer, *, now: datetime) -> None:
    """Write what one send's answer means. A callback may have overtaken it: then facts only.

    `attempt` is left as it is committed now, for whoever reports it.
    """
    if isinstance(answer, MpesaCredentials):
        stop_shortcode(attempt, answer, now=now)
    with locked_attempt(attempt.pk) as (current, loan):
        if current.send_count == attempt.send_count:
            _note_on(current, loan, answer, now=now)
    for name in REPORTED_COLUMNS:
        setattr(attempt, name, getattr(current, name))
    attempt.loan_tracking.error_message = loan.error_message


def _note_on(
    attempt: DisbursementRequest, loan: LoanTracking, answer: Answer, *, now: datetime
) -> None:
    _leave_no_doubt_behind(attempt, answer)
    if attempt.status == AttemptStatus.SUBMITTING:
        _move_on(attempt, loan, answer, now=now)
    elif isinstance(answer, Accepted) and not attempt.conversation_id:
        note_on_attempt(attempt, conversation_id=answer.conversation_id)


def backoff_seconds(count: int) -> float:
    """Return the growing pause before try number `count` + 1, in seconds."""
    factor: int = min(2 ** max(count - 1, 0), LONGEST_BACKOFF)
    return settings.LOANPOLL_BACKOFF_BASE * factor


def _ask(claim: Claim, *, fresh: FreshLoan, mpesa: MpesaClient) -> Answer:
    attempt = claim.attempt
    order = PaymentOrder(
        originator_conversation_id=attempt.originator_conversation_id,
        amount=attempt.amount,
        msisdn=attempt.msisdn,
        remarks=f"Loan {attempt.loan_tracking.loan_id} attempt {attempt.attempt_no}",
        result_url=claim.address.result_url,
        timeout_url=claim.address.timeout_url,
        not_after=fresh.read_at + recheck_max_age(),
    )
    if is_stopped(attempt.mpesa_environment, attempt.mpesa_shortcode):
        return MpesaNotSent("The shortcode was stopped in the meantime; nothing was sent")
    claimed_at = attempt.last_sent_at or attempt.created_at
    if timezone.now() - claimed_at > timedelta(seconds=recheck_max_age()):
        # The monotonic clock behind `not_after` stands still while the machine is suspended.
        return MpesaNotSent("The machine stood still since the claim; nothing was sent")
    leave_database()
    try:
        return mpesa.pay(order)
    except MpesaError as exc:
        return exc
    except ValueError as exc:
        # The client checks the order before a byte leaves.
        return MpesaRefused(f"The order is not one M-Pesa takes: {exc}")


def _leave_no_doubt_behind(attempt: DisbursementRequest, answer: Answer) -> None:
    """This very send is proven to have moved nothing: take it out of the doubtful ones.

    Not one that was turned away for its credential: it left, and money was seen to land after it.
    """
    if isinstance(answer, MpesaNotSent | MpesaRefused):
        note_on_attempt(attempt, sends_in_doubt=max(attempt.sends_in_doubt - 1, 0))


def _move_on(
    attempt: DisbursementRequest, loan: LoanTracking, answer: Answer, *, now: datetime
) -> None:
    match answer:
        case Accepted():
            _accepted(attempt, loan, answer, now=now)
        case MpesaNotSent() | MpesaThrottled() | MpesaCredentials():
            _send_again_later(attempt, loan, answer, now=now)
        case MpesaRefused() if attempt.sends_in_doubt == 0:
            _refused(attempt, loan, answer, now=now)
        case _:
            _unknown(attempt, loan, answer, now=now)


def _accepted(
    attempt: DisbursementRequest, loan: LoanTracking, answer: Accepted, *, now: datetime
) -> None:
    move_attempt(
        attempt,
        loan,
        Move(
            to_status=AttemptStatus.ACCEPTED,
            actor="M-Pesa",
            reason="M-Pesa queued the payment; its result comes later",
            at=now,
            details={"conversation_id": answer.conversation_id},
            columns={
                "conversation_id": answer.conversation_id,
                "accepted_at": now,
                "next_query_at": now + timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER),
            },
        ),
    )


def _send_again_later(
    attempt: DisbursementRequest, loan: LoanTracking, answer: MpesaError, *, now: datetime
) -> None:
    at = now + timedelta(seconds=backoff_seconds(attempt.send_count))
    note_on_attempt(attempt, resend_at=at, result_description=str(answer)[:500])
    note_change(
        loan,
        actor="system",
        reason=f"Not sent: {answer}. The same id is sent again later",
        at=now,
        details={"disbursement_request_id": attempt.pk, "answer": type(answer).__name__},
        error_message=str(answer)[:500],
        next_attempt_at=at,
    )


def _refused(
    attempt: DisbursementRequest, loan: LoanTracking, answer: MpesaRefused, *, now: datetime
) -> None:
    fail(
        attempt,
        loan,
        reason=f"M-Pesa's gateway refused the request: {answer}",
        evidence={"proof": "refused by the gateway", "code": answer.code},
        now=now,
        result_code=answer.code[:20],
        result_description=str(answer)[:500],
    )


def _unknown(
    attempt: DisbursementRequest, loan: LoanTracking, answer: Answer, *, now: datetime
) -> None:
    code = answer.code if isinstance(answer, MpesaUnknown | MpesaRefused) else ""
    doubt(
        attempt,
        loan,
        reason=f"No clear answer from M-Pesa: {answer}",
        details={"code": code},
        ask_at=now + timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER),
        now=now,
    )
    if isinstance(answer, MpesaUnknown) and answer.is_duplicate:
        note_on_attempt(attempt, result_code=DUPLICATE_OR_INTERNAL, result_description=str(answer))


def doubt(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    *,
    reason: str,
    details: dict[str, object],
    ask_at: datetime,
    now: datetime,
) -> None:
    """Move a locked attempt to `unknown`: from here only evidence moves it (rule 6)."""
    move_attempt(
        attempt,
        loan,
        Move(
            to_status=AttemptStatus.UNKNOWN,
            actor="system",
            reason=reason,
            at=now,
            details=details,
            columns={"unknown_at": now, "resend_at": None, "next_query_at": ask_at},
            loan_columns={"error_message": reason[:500], "next_attempt_at": ask_at},
        ),
    )


def fail(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    *,
    reason: str,
    evidence: dict[str, object],
    now: datetime,
    actor: str = "system",
    loan_status: LoanStatus = LoanStatus.FAILED,
    **columns: object,
) -> None:
    """Close a locked attempt as proven not to have moved money. `evidence` is that proof."""
    move_attempt(
        attempt,
        loan,
        Move(
            to_status=AttemptStatus.FAILED,
            actor=actor,
            reason=reason,
            at=now,
            details=evidence,
            columns={
                "failed_at": now,
                "next_query_at": None,
                "resend_at": None,
                **columns,
            },
            loan_status=loan_status,
            loan_columns={
                "next_attempt_at": _by_itself_at(attempt, columns, loan_status, now=now),
                **_review_over(attempt, loan, reason),
                **({"decided_at": None} if loan_status == LoanStatus.PENDING else {}),
            },
        ),
    )


def _review_over(
    attempt: DisbursementRequest, loan: LoanTracking, reason: str
) -> dict[str, object]:
    """The review of this attempt ends with it; what was said of another attempt stays said."""
    if loan.review_reason in OF_A_SUCCESS and questioned(loan) - {attempt.pk}:
        return {}
    return {"error_message": reason[:500], "review_reason": "", "review_since": None}


def _by_itself_at(
    attempt: DisbursementRequest,
    columns: dict[str, object],
    loan_status: LoanStatus,
    *,
    now: datetime,
) -> datetime | None:
    if loan_status != LoanStatus.FAILED:
        return None
    code = str(columns.get("result_code", attempt.result_code))
    return next_automatic_attempt(attempt, code=code, now=now)


def stop_shortcode(
    attempt: DisbursementRequest, answer: MpesaCredentials, *, now: datetime
) -> None:
    """Stop the shortcode of an attempt whose credential was refused, if it is still the one in use:
    `attempt.partner` is as the client knew it."""
    if is_stale(attempt.partner, Partner.objects.get(pk=attempt.partner_id)):
        return  # it was corrected meanwhile, and the breaker may have been reset for it
    logger.error("shortcode %s is stopped: %s", attempt.mpesa_shortcode, answer)
    open_breaker(attempt.mpesa_environment, attempt.mpesa_shortcode, cause=str(answer), now=now)
