"""What a person may do with a loan now, and why not. Pure; `doing` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from disbursements.models import AttemptStatus, ResolutionOutcome
from disbursements.pages.cases import Case, WhyNot
from disbursements.pages.scope import User
from loans.decide import APPROVABLE_HOLDS
from loans.models import LoanStatus, ReviewReason

HOLD = "loans.hold_loantracking"
APPROVE = "loans.approve_loantracking"
RETRY = "disbursements.retry_disbursementrequest"
ASK = "disbursements.query_disbursementrequest"
RECORD = "disbursements.record_disbursementrequest"
RESOLVE = "disbursements.resolve_disbursementrequest"
MONEY_MOVED = {AttemptStatus.PAID, AttemptStatus.COMPLETED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One thing staff may do with a loan, and who may.

    `is_weighty`: what is confirmed must be exactly what was shown. `is_rare`: not worth a word
    while it is impossible. `in_bulk`: also for many loans at once.
    """

    name: str
    label: str
    permission: str
    why_not: WhyNot
    is_weighty: bool = False
    is_rare: bool = False
    in_bulk: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing a person may want to do. `why_not` is empty when it is possible now.

    While the outcome is unknown no button to pay again `is_drawn`, not even a dead one.
    """

    name: str
    label: str
    url: str
    why_not: str = ""
    is_drawn: bool = True
    is_rare: bool = False


def _why_not_ask(case: Case) -> str:
    live = case.live
    if live is None or not live.send_count:
        return "nothing was sent to M-Pesa that is still open."
    if live.status in MONEY_MOVED:
        return "M-Pesa has already confirmed the payment."
    if live.status == AttemptStatus.SUBMITTING:
        return "it is being sent at this moment."
    return ""


def _why_not_retry(case: Case) -> str:
    live = case.live
    if live and live.status in MONEY_MOVED:
        return f"the client was paid, receipt {live.transaction_receipt}."
    if live:
        return "a payment may still be under way. Paying again could pay twice."
    if case.loan.review_reason:
        return "the review must be settled first."
    if case.loan.status != LoanStatus.FAILED:
        return "only a failed loan can be paid again."
    return ""


def _why_not_approve(case: Case) -> str:
    loan, request = case.loan, case.request
    if loan.status != LoanStatus.PENDING or loan.hold_reason not in APPROVABLE_HOLDS:
        return "nobody has asked for an approval."
    if request is None:
        return "the request is not written yet; the next pass writes it."
    if request.requested_by == case.username:
        return "you asked for it; another person must approve it."
    if (request.amount, request.phone_number) != (loan.net_disbursal_amount, loan.phone_number):
        return "the amount or the phone number has just changed; the next pass asks anew."
    return ""


def _why_not_record(case: Case) -> str:
    live = case.live
    if live and live.status == AttemptStatus.PAID:
        return ""
    if live and live.status == AttemptStatus.COMPLETED:
        return "the disbursement is recorded in Mifos X."
    return "there is no confirmed payment to record."


def _why_not_resolve(case: Case) -> str:
    attempt = case.questioned
    if attempt is None:
        return "nothing was sent to M-Pesa."
    if case.proposal:
        return "an outcome is proposed already; it is confirmed or withdrawn first."
    if attempt.status == AttemptStatus.SUBMITTING:
        return "it is being sent at this moment."
    if case.loan.review_reason or attempt.status == AttemptStatus.UNKNOWN:
        return ""
    if attempt.status == AttemptStatus.ACCEPTED:
        return "M-Pesa has not been silent long enough."
    paid = attempt.status in MONEY_MOVED
    return f"the outcome is known: {'paid' if paid else 'not paid'}."


def _why_not_confirm(case: Case) -> str:
    if case.proposal is None:
        return "nobody has proposed an outcome."
    if case.proposal.proposed_by.get_username() == case.username:
        return "you proposed the outcome; another person must confirm it."
    return ""


def _why_not_withdraw(case: Case) -> str:
    return "" if case.proposal else "nobody has proposed an outcome."


def _why_not_hold(case: Case) -> str:
    if case.loan.staff_hold:
        return "it is already held."
    return "" if case.loan.status == LoanStatus.PENDING else "only a pending loan can be held."


def _why_not_release(case: Case) -> str:
    if not case.loan.staff_hold:
        return "nobody holds it."
    return "" if case.loan.status == LoanStatus.PENDING else "only a pending loan can be released."


def _why_not_reread(case: Case) -> str:
    if case.loan.status in {LoanStatus.PENDING, LoanStatus.CANCELLED}:
        return ""
    return "only a loan that was not sent is read again; reconciling compares the others."


def _why_not_cycle(case: Case) -> str:
    if case.loan.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT:
        return ""
    return "its paid disbursement was not undone in Mifos X."


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="confirm",
            label="Confirm the outcome",
            permission=RESOLVE,
            why_not=_why_not_confirm,
            is_weighty=True,
            is_rare=True,
        ),
        Kind(
            name="approve",
            label="Approve",
            permission=APPROVE,
            why_not=_why_not_approve,
            is_weighty=True,
            in_bulk=True,
        ),
        Kind(
            name="decline",
            label="Decline",
            permission=APPROVE,
            why_not=_why_not_approve,
            is_rare=True,
        ),
        Kind(
            name="ask",
            label="Ask M-Pesa now",
            permission=ASK,
            why_not=_why_not_ask,
            in_bulk=True,
        ),
        Kind(
            name="retry",
            label="Pay again",
            permission=RETRY,
            why_not=_why_not_retry,
            is_weighty=True,
            in_bulk=True,
        ),
        Kind(name="record", label="Tell Mifos X again", permission=RECORD, why_not=_why_not_record),
        Kind(
            name="resolve",
            label="Settle by hand",
            permission=RESOLVE,
            why_not=_why_not_resolve,
            is_weighty=True,
        ),
        Kind(
            name="withdraw",
            label="Withdraw the proposal",
            permission=RESOLVE,
            why_not=_why_not_withdraw,
            is_rare=True,
        ),
        Kind(
            name="cycle",
            label="Open a new cycle",
            permission=RETRY,
            why_not=_why_not_cycle,
            is_weighty=True,
            is_rare=True,
        ),
        Kind(
            name="release",
            label="Release",
            permission=HOLD,
            why_not=_why_not_release,
            is_weighty=True,
            is_rare=True,
            in_bulk=True,
        ),
        Kind(name="hold", label="Hold", permission=HOLD, why_not=_why_not_hold, in_bulk=True),
        Kind(name="reread", label="Read Mifos X again", permission=HOLD, why_not=_why_not_reread),
    )
}
BULK = {name: kind for name, kind in KINDS.items() if kind.in_bulk}
OUTCOME_WORDS = {ResolutionOutcome.PAID: "paid", ResolutionOutcome.NOT_PAID: "not paid"}


def possible_actions(case: Case, *, may: Callable[[str], bool] = lambda _: True) -> list[Action]:
    """Return every action that `may` allows by its permission, with why it is not possible now."""
    return [_action(kind, case) for kind in KINDS.values() if may(kind.permission)]


def _action(kind: Kind, case: Case) -> Action:
    return Action(
        name=kind.name,
        label=kind.label,
        url=reverse(f"loan_{kind.name}", args=[case.loan.pk]),
        why_not=kind.why_not(case),
        is_drawn=kind.name != "retry" or case.live is None,
        is_rare=kind.is_rare,
    )


def bulk_actions(user: User) -> list[Kind]:
    """Return what this user may do with many loans at once."""
    return [kind for kind in BULK.values() if user.has_perm(kind.permission)]  # type: ignore[union-attr]  # every user has it
