"""Why is this loan waiting? One sentence: its state, and when or by whom it goes on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.wording import clock, clock_seconds, without_phones
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason

BY_HAND = "A person pays it another way and records it in Mifos X."
ADMIN_LIMIT = "An administrator may change the limit."
OFFICER_PHONE = "A loan officer corrects it in Mifos X; the next pass reads it."
MIFOS_ADMIN = "Whoever looks after Mifos X must change it there."

HOLD_NEXT: dict[HoldReason, str] = {
    HoldReason.PARTNER_INACTIVE: "An administrator must activate the partner.",
    HoldReason.AUTO_OFF: "An administrator must switch it on.",
    HoldReason.NOT_CONFIGURED: "An administrator must complete them.",
    HoldReason.PRODUCT_NOT_ENABLED: "An administrator must enable it.",
    HoldReason.BELOW_MINIMUM: ADMIN_LIMIT,
    HoldReason.ABOVE_MAXIMUM: ADMIN_LIMIT,
    HoldReason.ABOVE_LOAN_LIMIT: ADMIN_LIMIT,
    HoldReason.OUTSIDE_MPESA_LIMITS: BY_HAND,
    HoldReason.DAILY_LIMIT: "It goes on by itself on the next day.",
    HoldReason.CLIENT_DAILY_LIMIT: "It goes on by itself on the next day.",
    HoldReason.NEEDS_APPROVAL: "An approver must decide.",
    HoldReason.PHONE_MISSING: OFFICER_PHONE,
    HoldReason.PHONE_INVALID: OFFICER_PHONE,
    HoldReason.PHONE_SHARED: "A loan officer must find out whose number it is.",
    HoldReason.PHONE_CHANGED: "An approver must confirm the new number.",
    HoldReason.NET_UNKNOWN: MIFOS_ADMIN,
    HoldReason.CENTS: "A loan officer must change the amount, or pay it another way.",
    HoldReason.FOREIGN_CURRENCY: BY_HAND,
    HoldReason.NOT_DUE: "It goes on by itself on that day.",
    HoldReason.APPROVED_IN_FUTURE: "It goes on by itself on that day.",
    HoldReason.REPAYMENT_DATE_PASSED: "A loan officer must correct the dates in Mifos X.",
    HoldReason.NON_WORKING_DAY: "It goes on by itself on the next working day.",
    HoldReason.HOLIDAY: "It goes on by itself on the next working day.",
    HoldReason.NO_DISBURSE_PERMISSION: MIFOS_ADMIN,
    HoldReason.PAYMENT_TYPE_INVALID: "An administrator must choose another payment type.",
    # Never BY_HAND: these are paid by the next pass once the cause is over.
    HoldReason.ALL_PAUSED: "It goes on when an administrator resumes payouts.",
    HoldReason.PARTNER_PAUSED: "It goes on when an administrator resumes payouts.",
    HoldReason.BREAKER_OPEN: "It goes on when an administrator lets the shortcode pay again.",
    HoldReason.FLOAT_SHORT: "It goes on by itself once the float covers it.",
    HoldReason.CLIENT_NOT_ACTIVE: "A loan officer must activate the client in Mifos X.",
    HoldReason.CHARGED_OFF: "A loan officer must look into it in Mifos X.",
    HoldReason.REOPENED: "An approver must decide whether it is paid again.",
    HoldReason.HELD_BY_STAFF: "An operator must release it.",
}
# Long labels of the model, shortened for a table row. The next step follows them.
HOLD_SHORT: dict[HoldReason, str] = {
    HoldReason.NEEDS_APPROVAL: "A person must approve this payout",
    HoldReason.PHONE_CHANGED: "The phone number changed after approval",
    HoldReason.REOPENED: "The loan came back after it was disbursed",
    HoldReason.GROUP_LOAN: "Group loan",
    HoldReason.TRANCHE_LOAN: "Loan in tranches",
    HoldReason.TOP_UP: "Top-up loan",
    HoldReason.DOWN_PAYMENT: "Loan with a down payment",
}
REVIEW_NEXT: dict[ReviewReason, str] = {
    ReviewReason.OUTCOME_UNKNOWN: "Two people settle it with the M-Pesa statement.",
    ReviewReason.RESULT_MISMATCH: "Finance must compare it with the M-Pesa statement.",
    ReviewReason.CONTRADICTION: "Finance must look in the M-Pesa statement.",
    ReviewReason.FAILURE_UNCONFIRMED: "Finance must look in the M-Pesa statement.",
    ReviewReason.DOUBLE_PAYMENT: "Finance must look before anything else is done.",
    ReviewReason.PAID_NOT_RECORDED: "A loan officer must clear the way in Mifos X; we keep trying.",
    ReviewReason.CHECKER_REJECTED: "A loan officer and the checker must agree in Mifos X.",
    ReviewReason.UNDONE_AFTER_PAYMENT: "A loan officer must say why; nothing is paid by itself.",
    ReviewReason.MIFOS_CHANGED: "A loan officer must say which is right.",
    ReviewReason.BOOKS_DIFFER: "Finance must compare the books.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFacts:
    """What the sentence needs of the attempt that counts: the live one, or else the last."""

    status: AttemptStatus
    receipt: str = ""
    result_code: str = ""
    result_description: str = ""
    failure_reported: bool = False
    send_count: int = 0
    record_tries: int = 0
    created_at: datetime | None = None
    accepted_at: datetime | None = None
    unknown_at: datetime | None = None
    resend_at: datetime | None = None
    next_query_at: datetime | None = None
    next_record_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoanFacts:
    """What the sentence needs of the loan. `gate` is what keeps the whole partner waiting."""

    status: LoanStatus
    hold_reason: str = ""
    review_reason: str = ""
    error_message: str = ""
    staff_hold: str = ""
    receipt: str = ""
    expected_on: date | None = None
    next_attempt_at: datetime | None = None
    disbursed_at: datetime | None = None
    attempt: AttemptFacts | None = None
    gate: str = ""
    next_pass_at: datetime | None = None
    was_disbursed: bool = False  # by us or by hand: the client may have the money
    is_decided: bool = True  # False: approved, released or changed since its hold was written


def why_waiting(facts: LoanFacts, *, now: datetime) -> str:
    """Return what is so, and the next try or the person who must act."""
    return without_phones(_sentence(facts, now))


def _sentence(facts: LoanFacts, now: datetime) -> str:
    if facts.review_reason:
        return _review(facts, now)
    match facts.status:
        case LoanStatus.PENDING:
            return _held(facts, now) if facts.hold_reason else _pending(facts, now)
        case LoanStatus.PROCESSING:
            return _processing(facts, now)
        case LoanStatus.DISBURSED:
            return _disbursed(facts, now)
        case LoanStatus.FAILED:
            return _failed(facts, now)
        case LoanStatus.CANCELLED:
            return facts.error_message or "It left Mifos X's waiting list. Nothing was paid."


def _review(facts: LoanFacts, now: datetime) -> str:
    reason = ReviewReason(facts.review_reason)
    asked = facts.attempt.next_query_at if facts.attempt else None
    if reason == ReviewReason.OUTCOME_UNKNOWN and asked and asked > now:
        return f"Outcome unknown. M-Pesa is asked again {_at(asked, now)}. {REVIEW_NEXT[reason]}"
    return f"{reason.label}. {REVIEW_NEXT[reason]}"


def _held(facts: LoanFacts, now: datetime) -> str:
    reason = HoldReason(facts.hold_reason)
    said = facts.error_message or HOLD_SHORT.get(reason, str(reason.label))
    if reason == HoldReason.HELD_BY_STAFF and facts.staff_hold:
        said = facts.staff_hold  # it says itself who held or declined it
    if reason == HoldReason.NOT_DUE and facts.expected_on:
        return f"Due on {facts.expected_on.day} {facts.expected_on:%b %Y}. {HOLD_NEXT[reason]}"
    following = HOLD_NEXT.get(reason, BY_HAND)
    if facts.next_attempt_at and facts.next_attempt_at > now and "by itself" in following:
        following = f"Looked at again {_at(facts.next_attempt_at, now)}."
    if not facts.is_decided:
        following = "That was answered or has changed: the next pass decides anew."
    return f"{said.rstrip('.')}. {following}"


def _pending(facts: LoanFacts, now: datetime) -> str:
    if facts.gate:
        return facts.gate
    if facts.next_attempt_at and facts.next_attempt_at > now:
        before = f"{facts.error_message.rstrip('.')}. " if facts.error_message else ""
        return f"{before}Tried again {_at(facts.next_attempt_at, now)}."
    if facts.next_pass_at and facts.next_pass_at > now:
        return f"Ready. The next pass, {_at(facts.next_pass_at, now)}, pays it."
    return "Ready. The next pass pays it."


def _processing(facts: LoanFacts, now: datetime) -> str:
    attempt = facts.attempt
    if attempt is None:
        return "A payment is being prepared."
    match attempt.status:
        case AttemptStatus.SUBMITTING:
            return _submitting(attempt, now)
        case AttemptStatus.ACCEPTED:
            since = _since("Accepted by M-Pesa at", attempt.accepted_at, now)
            return f"{since}; no result yet.{_asked(attempt, now)}"
        case AttemptStatus.UNKNOWN:
            return _unknown(attempt, now)
        case AttemptStatus.PAID:
            return _paid(attempt, now)
        case AttemptStatus.COMPLETED:
            return f"Paid, receipt {attempt.receipt}, and recorded in Mifos X."
        case AttemptStatus.FAILED:
            return "The last attempt moved no money. The next pass decides how it goes on."


def _submitting(attempt: AttemptFacts, now: datetime) -> str:
    if attempt.resend_at and attempt.send_count:
        when = _at(attempt.resend_at, now) if attempt.resend_at > now else "at the next pass"
        return f"Not accepted yet. The same payment is sent again {when}."
    return f"{_since('Being sent to M-Pesa since', attempt.created_at, now)}."


def _unknown(attempt: AttemptFacts, now: datetime) -> str:
    if attempt.failure_reported:
        said = "M-Pesa reported a failure; it is being confirmed"
    else:
        said = _since("No clear answer from M-Pesa since", attempt.unknown_at, now)
    return f"{said}.{_asked(attempt, now)}"


def _paid(attempt: AttemptFacts, now: datetime) -> str:
    tries = f" (tried {attempt.record_tries} times)" if attempt.record_tries > 1 else ""
    said = f"Paid, receipt {attempt.receipt}; not yet in Mifos X{tries}."
    if attempt.next_record_at and attempt.next_record_at > now:
        return f"{said} Recorded again {_at(attempt.next_record_at, now)}."
    return f"{said} The next pass records it."


def _disbursed(facts: LoanFacts, now: datetime) -> str:
    if facts.disbursed_at is None:
        return f"Receipt {facts.receipt}, recorded in Mifos X."
    return f"Receipt {facts.receipt}, in Mifos X since {clock(facts.disbursed_at, now=now)}."


def _failed(facts: LoanFacts, now: datetime) -> str:
    attempt = facts.attempt
    words = attempt.result_description if attempt else ""
    if attempt and attempt.result_code:
        words = f"{attempt.result_code}: {words}".rstrip(": ")
    said = words or facts.error_message or "The payment failed"
    if facts.next_attempt_at and facts.next_attempt_at > now:
        following = f"Tried again {_at(facts.next_attempt_at, now)}."
    elif facts.gate:
        following = facts.gate
    else:
        following = "An operator decides about a new attempt."
    moved = (
        "Disbursed before, and this attempt moved none" if facts.was_disbursed else "No money moved"
    )
    return f"{said.rstrip('.')}. {moved}. {following}"


def _asked(attempt: AttemptFacts, now: datetime) -> str:
    if attempt.next_query_at is None:
        return ""
    if attempt.next_query_at <= now:
        return " The next pass asks M-Pesa."
    return f" M-Pesa is asked {_at(attempt.next_query_at, now)}."


def _since(words: str, at: datetime | None, now: datetime) -> str:
    if at is None:
        return words.rsplit(" ", 1)[0]
    return f"{words} {clock(at, now=now)}"


def _at(at: datetime, now: datetime) -> str:
    """Return `at 09:45`, to the second when it is less than a minute away."""
    if 0 < (at - now).total_seconds() < 60:
        return f"at {clock_seconds(at).split(' ')[0]}"
    told = clock(at, now=now)
    return f"on {told}" if " " in told else f"at {told}"


def attempt_that_counts(attempts: list[DisbursementRequest]) -> DisbursementRequest | None:
    """Return the live attempt, or else the last one."""
    live = [attempt for attempt in attempts if attempt.status != AttemptStatus.FAILED]
    return next(reversed(live or attempts), None)


def facts_of(
    loan: LoanTracking,
    attempts: list[DisbursementRequest],
    *,
    gate: str = "",
    next_pass_at: datetime | None = None,
) -> LoanFacts:
    """Return what the sentence needs, from the rows."""
    attempt = attempt_that_counts(attempts)
    return LoanFacts(
        status=LoanStatus(loan.status),
        hold_reason=loan.hold_reason,
        review_reason=loan.review_reason,
        error_message=loan.error_message,
        staff_hold=loan.staff_hold,
        receipt=loan.mpesa_receipt_number,
        expected_on=loan.expected_disbursement_date,
        next_attempt_at=loan.next_attempt_at,
        disbursed_at=loan.disbursed_at,
        attempt=attempt_facts(attempt) if attempt else None,
        gate=gate,
        next_pass_at=next_pass_at,
        was_disbursed=loan.approval_cause == HoldReason.REOPENED,
        is_decided=loan.decided_at is not None or bool(loan.staff_hold),
    )


def attempt_facts(attempt: DisbursementRequest) -> AttemptFacts:
    """Return what the sentence needs of one attempt."""
    return AttemptFacts(
        status=AttemptStatus(attempt.status),
        receipt=attempt.transaction_receipt,
        result_code=attempt.result_code,
        result_description=attempt.result_description,
        failure_reported=attempt.failure_reported_at is not None,
        send_count=attempt.send_count,
        record_tries=attempt.record_tries,
        created_at=attempt.created_at,
        accepted_at=attempt.accepted_at,
        unknown_at=attempt.unknown_at,
        resend_at=attempt.resend_at,
        next_query_at=attempt.next_query_at,
        next_record_at=attempt.next_record_at,
    )
