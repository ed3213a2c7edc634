"""What a loan's state means for the client on the phone, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from disbursements.models import AttemptStatus
from disbursements.pages.why import LoanFacts
from loans.decide import APPROVABLE_HOLDS
from loans.models import HoldReason, LoanStatus, ReviewReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """`danger` is set when paying by hand now could pay twice."""

    means: str
    do: str
    danger: bool = False


DO_NOT_PAY = "Do not pay by hand until this is settled: the client may have the money already."

OF_REVIEW: dict[ReviewReason, Advice] = {
    ReviewReason.OUTCOME_UNKNOWN: Advice(
        means="M-Pesa was asked to pay and nobody can say yet whether it did.",
        do=f"{DO_NOT_PAY} Look for the payment in the M-Pesa portal; two people then settle it.",
        danger=True,
    ),
    ReviewReason.RESULT_MISMATCH: Advice(
        means="M-Pesa reported a payment whose amount, phone or id is not what we asked for.",
        do=f"{DO_NOT_PAY} Compare the receipt with the M-Pesa statement.",
        danger=True,
    ),
    ReviewReason.CONTRADICTION: Advice(
        means="M-Pesa said two things that cannot both be true.",
        do=f"{DO_NOT_PAY} The M-Pesa statement decides.",
        danger=True,
    ),
    ReviewReason.FAILURE_UNCONFIRMED: Advice(
        means="M-Pesa reported a failure, but its own status answer does not confirm it.",
        do=f"{DO_NOT_PAY} The M-Pesa statement decides.",
        danger=True,
    ),
    ReviewReason.DOUBLE_PAYMENT: Advice(
        means="Mifos X or M-Pesa shows another payment for this loan besides ours.",
        do="Tell finance now. Compare both receipts with the M-Pesa statement.",
        danger=True,
    ),
    ReviewReason.PAID_NOT_RECORDED: Advice(
        means="The client has the money. Mifos X does not show the disbursement yet.",
        do="Do not pay again. Clear what Mifos X refuses; the record is tried again by itself.",
        danger=True,
    ),
    ReviewReason.CHECKER_REJECTED: Advice(
        means="The client has the money. The checker in Mifos X rejected the disbursement.",
        do="Do not pay again. Ask the checker why, then tell Mifos X again and have that approved.",
        danger=True,
    ),
    ReviewReason.UNDONE_AFTER_PAYMENT: Advice(
        means="The client has the money, and the disbursement was undone in Mifos X afterwards.",
        do="Ask who undid it. It is never paid a second time by itself.",
        danger=True,
    ),
    ReviewReason.MIFOS_CHANGED: Advice(
        means="The loan was changed in Mifos X while the payment was open.",
        do="Compare the books below, and ask the loan officer which is right.",
        danger=True,
    ),
    ReviewReason.BOOKS_DIFFER: Advice(
        means="Loan Poll, M-Pesa and Mifos X do not say the same.",
        do="Look for the line that differs below, and settle it with finance.",
        danger=True,
    ),
}
OF_ATTEMPT: dict[AttemptStatus, Advice] = {
    AttemptStatus.SUBMITTING: Advice(
        means="The payment is on its way to M-Pesa.",
        do="Nothing to do. The client should have the money within minutes.",
    ),
    AttemptStatus.ACCEPTED: Advice(
        means="M-Pesa took the order. That is not yet a payment.",
        do="Nothing to do. If no result comes, M-Pesa is asked by itself.",
    ),
    AttemptStatus.UNKNOWN: Advice(
        means="M-Pesa gave no clear answer, so the payment may or may not have happened.",
        do=f"{DO_NOT_PAY} M-Pesa is being asked by itself.",
        danger=True,
    ),
    AttemptStatus.PAID: Advice(
        means="The client has the money. Mifos X is told next.",
        do="Nothing to do. Do not disburse it in Mifos X by hand.",
    ),
}
HELD = Advice(
    means="Nothing was sent. The loan waits until the reason above is cleared.",
    do="Clear the reason, in Mifos X or in the partner's settings. The next pass looks again.",
)
HELD_BY_PEOPLE = Advice(
    means="Loan Poll has sent nothing since. The loan waits for the reason above.",
    do="Do not pay by hand before you know that reason: the client may have been paid another way. "
    "An operator releases it.",
    danger=True,
)
# A loan that was disbursed before, by us or by hand, or that two people called paid.
DISBURSED_BEFORE: dict[LoanStatus, Advice] = {
    LoanStatus.PENDING: Advice(
        means="The loan was disbursed before and waits again: the client may have the money.",
        do="Do not pay by hand. An approver decides whether it is paid again.",
        danger=True,
    ),
    LoanStatus.FAILED: Advice(
        means="The last attempt moved no money, and the loan was disbursed before that: the client "
        "may have the money.",
        do="Do not pay by hand. Find out in the history what became of the first payment.",
        danger=True,
    ),
    LoanStatus.CANCELLED: Advice(
        means="The loan was paid or disbursed already: the client may have the money.",
        do="Do not pay by hand. If Mifos X does not show the disbursement, record it there.",
        danger=True,
    ),
}


def advice_for(facts: LoanFacts) -> Advice:
    """Return what the loan's state means and what to do."""
    if facts.review_reason:
        return OF_REVIEW[ReviewReason(facts.review_reason)]
    if facts.was_disbursed and facts.status in DISBURSED_BEFORE:
        return DISBURSED_BEFORE[facts.status]
    match facts.status:
        case LoanStatus.PENDING:
            return _pending(facts)
        case LoanStatus.PROCESSING:
            return _processing(facts)
        case LoanStatus.DISBURSED:
            return Advice(
                means=f"The client was paid and Mifos X shows it. Receipt {facts.receipt}.",
                do="Nothing to do. The receipt is on the client's M-Pesa message.",
            )
        case LoanStatus.FAILED:
            return _failed(facts)
        case LoanStatus.CANCELLED:
            return Advice(
                means="The loan left Mifos X's waiting list before Loan Poll sent anything.",
                do="Nothing to do. If it is approved again, it comes back by itself.",
            )


def _pending(facts: LoanFacts) -> Advice:
    if facts.hold_reason and not facts.is_decided:
        return Advice(
            means="Nothing was sent. What held the loan was answered or has changed.",
            do="Nothing to do. The next pass decides anew.",
        )
    if facts.hold_reason in APPROVABLE_HOLDS:
        return Advice(
            means="Nothing was sent. This payout needs a person's approval.",
            do="Ask an approver. Nobody may approve his own request.",
        )
    if facts.hold_reason == HoldReason.HELD_BY_STAFF:
        return HELD_BY_PEOPLE
    if facts.hold_reason:
        return HELD
    return Advice(
        means="The loan is approved in Mifos X. Nothing was sent to M-Pesa yet.",
        do="The partner's trouble must be cleared first." if facts.gate else "Nothing to do.",
    )


def _processing(facts: LoanFacts) -> Advice:
    status = facts.attempt.status if facts.attempt else AttemptStatus.SUBMITTING
    return OF_ATTEMPT.get(status, OF_ATTEMPT[AttemptStatus.SUBMITTING])


def _failed(facts: LoanFacts) -> Advice:
    by_itself = "It is tried again by itself." if facts.next_attempt_at else ""
    return Advice(
        means="It is proven that no money moved. The client has not been paid.",
        do=by_itself or "Clear the cause that M-Pesa names; an operator may then pay again.",
    )
