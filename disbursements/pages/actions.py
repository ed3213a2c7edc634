"""What a person may do with a loan now, and why not. Pure; the doors that do it come to it."""

from __future__ import annotations

from dataclasses import dataclass

from disbursements.models import AttemptStatus, DisbursementRequest
from loans.models import HoldReason, LoanStatus, LoanTracking


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing a person may want to do. `why_not` is empty when it is possible now.

    `url` is the page that asks for the reason and confirms; without one nothing is drawn.
    """

    name: str
    label: str
    why_not: str = ""
    url: str = ""


def possible_actions(loan: LoanTracking, attempts: list[DisbursementRequest]) -> list[Action]:
    """Return every action with why it is not possible now."""
    live = next((one for one in attempts if one.status != AttemptStatus.FAILED), None)
    return [
        Action(name="ask", label="Ask M-Pesa now", why_not=_why_not_ask(live)),
        Action(name="retry", label="Pay again", why_not=_why_not_retry(loan, live)),
        Action(name="approve", label="Approve or decline", why_not=_why_not_approve(loan)),
        Action(name="record", label="Tell Mifos X again", why_not=_why_not_record(live)),
        Action(name="resolve", label="Settle by hand", why_not=_why_not_resolve(live)),
        Action(name="hold", label="Hold", why_not=_why_not_hold(loan)),
        Action(name="release", label="Release", why_not=_why_not_release(loan)),
    ]


def _why_not_ask(live: DisbursementRequest | None) -> str:
    if live is None or not live.send_count:
        return "nothing was sent to M-Pesa that is still open."
    if live.status in {AttemptStatus.PAID, AttemptStatus.COMPLETED}:
        return "M-Pesa has already confirmed the payment."
    return ""


def _why_not_retry(loan: LoanTracking, live: DisbursementRequest | None) -> str:
    if live and live.status in {AttemptStatus.PAID, AttemptStatus.COMPLETED}:
        return f"the client was paid, receipt {live.transaction_receipt}."
    if live:
        return "a payment may still be under way. Paying again could pay twice."
    if loan.review_reason:
        return "the review must be settled first."
    if loan.status != LoanStatus.FAILED:
        return "only a failed loan can be paid again."
    return ""


def _why_not_approve(loan: LoanTracking) -> str:
    asks = {HoldReason.NEEDS_APPROVAL, HoldReason.PHONE_CHANGED, HoldReason.REOPENED}
    if loan.status == LoanStatus.PENDING and loan.hold_reason in asks:
        return ""
    return "nobody has asked for an approval."


def _why_not_record(live: DisbursementRequest | None) -> str:
    if live and live.status == AttemptStatus.PAID:
        return ""
    if live and live.status == AttemptStatus.COMPLETED:
        return "the disbursement is recorded in Mifos X."
    return "there is no confirmed payment to record."


def _why_not_resolve(live: DisbursementRequest | None) -> str:
    if live is None:
        return "no payment is open."
    if live.status in {AttemptStatus.PAID, AttemptStatus.COMPLETED}:
        return "the outcome is known: paid."
    return "" if live.status == AttemptStatus.UNKNOWN else "M-Pesa has not been silent long enough."


def _why_not_hold(loan: LoanTracking) -> str:
    if loan.staff_hold:
        return "it is already held."
    return "" if loan.status == LoanStatus.PENDING else "only a pending loan can be held."


def _why_not_release(loan: LoanTracking) -> str:
    return "" if loan.staff_hold else "nobody holds it."
