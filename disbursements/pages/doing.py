"""Does what staff confirmed, through the steps of the house; says what came of it in words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from disbursements.ask import SILENT, ask_one
from disbursements.checker import tell_again
from disbursements.claiming import is_its_rail
from disbursements.models import (
    MONEY_MOVED,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
)
from disbursements.moves import StaleAttempt, locked_attempt, note_on_attempt
from disbursements.pages.actions import OUTCOME_WORDS, Kind
from disbursements.pages.cases import Case
from disbursements.pages.wording import money, without_phones
from disbursements.record import Books, record_one
from disbursements.resolve import (
    RECORD_BY_HAND,
    ResolutionRefused,
    confirm,
    is_recorded_by_hand,
    propose,
    withdraw,
)
from disbursements.retry import RetryRefused, retry_loan
from loans.approvals import ApprovalRefused, approve_loan, decline_loan, request_approval
from loans.audit import StaleLoan, lock_loan, note_change
from loans.decide import decide_pending
from loans.fetch import fetch_one
from loans.gates import gate_for
from loans.holding import HoldRefused, hold_loan, open_new_cycle, release_loan
from loans.models import ApprovalState, HoldReason, LoanStatus, LoanTracking
from loans.refresh import cancel_or_keep
from mifos.client import MifosError, MifosNotFound
from mpesa.shortcodes import shortcode_of
from partners.gateways import NotConfigured, mifos_client, mpesa_client
from partners.models import Partner

logger = logging.getLogger(__name__)
CHANGED = "The loan has changed since you looked. Nothing was done; look again."


class Refused(Exception):
    """It cannot be done now. The text says why, for staff."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Who wants it, why, and the evidence. `is_one_of_many` leaves the network to the next pass."""

    user: User
    reason: str
    now: datetime
    outcome: str = ""
    receipt: str = ""
    is_one_of_many: bool = False
    needs_second_person: bool = False

    @property
    def actor(self) -> str:
        return self.user.get_username()


def do(kind: Kind, case: Case, order: Order, *, seen: str) -> str:
    """Do it and return what came of it. Raises Refused; then nothing was done."""
    why_not = kind.why_not(case)
    if why_not:
        raise Refused(f"Loan {case.loan.loan_id}: {why_not}")
    if kind.is_weighty and case.seen != seen:
        raise Refused(CHANGED)
    try:
        return DO[kind.name](case, order)
    except (ApprovalRefused, HoldRefused, ResolutionRefused, RetryRefused) as exc:
        raise Refused(str(exc)) from exc
    except (StaleLoan, StaleAttempt) as exc:
        raise Refused(CHANGED) from exc
    except NotConfigured as exc:
        raise Refused(str(exc)) from exc


def do_or_tell(kind: Kind, case: Case, order: Order, *, seen: str) -> tuple[bool, str]:
    """Do it for one of many: whatever goes wrong with this one is told, and the others go on."""
    try:
        return True, do(kind, case, order, seen=seen)
    except Refused as exc:
        return False, str(exc)
    except Exception:
        logger.exception("%s of loan %s failed", kind.name, case.loan.pk)
        return False, "It failed inside Loan Poll; see the log. Look at the loan before you go on."


def _approve(case: Case, order: Order) -> str:
    loan = case.loan
    if loan.net_disbursal_amount is None:
        raise Refused("Mifos X does not say what the client should get.")
    approve_loan(
        loan.pk,
        by=order.user,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        cause=loan.hold_reason,
        shown=loan,
        reason=order.reason,
        now=order.now,
    )
    return f"Approved {_amount(case)}. The next pass pays it, if nothing else holds it."


def _decline(case: Case, order: Order) -> str:
    decline_loan(case.loan.pk, by=order.user, reason=order.reason, now=order.now)
    return f"Declined {_amount(case)}. It stays held until somebody releases it."


def _hold(case: Case, order: Order) -> str:
    hold_loan(case.loan.pk, actor=order.actor, reason=order.reason, now=order.now)
    return f"Held {_amount(case)} until somebody releases it."


def _release(case: Case, order: Order) -> str:
    # Only the hold that was compared with the page: it may be another, or one more, by now.
    seen = case.loan.staff_hold
    release_loan(case.loan.pk, actor=order.actor, reason=order.reason, now=order.now, seen=seen)
    return f"Released {_amount(case)}. The next pass pays it, if nothing else holds it."


def _retry(case: Case, order: Order) -> str:
    with transaction.atomic():
        retry_loan(case.loan.pk, actor=order.actor, reason=order.reason, now=order.now)
        if order.needs_second_person:
            _ask_second_person(case.loan.pk, order)
            return f"{_amount(case)} now waits for the approval of another person."
    return f"The next pass looks into Mifos X again and pays {_amount(case)}."


def _ask_second_person(pk: int, order: Order) -> None:
    """Bind the payment to an approval by somebody else; an old approval does not count."""
    loan = lock_loan(pk)
    loan.approvals.filter(state=ApprovalState.APPROVED).update(state=ApprovalState.EXPIRED)
    # A graver cause stays: the other person must know what he confirms.
    held = loan.approval_cause or HoldReason.NEEDS_APPROVAL.value
    words = f"{order.actor} pays many loans again; another person must approve each"
    note_change(
        loan,
        actor=order.actor,
        reason=words,
        at=order.now,
        details={"hold": held},
        approval_cause=held,
        hold_reason=held,
        error_message=words,
    )
    request_approval(pk, by=order.actor, now=order.now)


def _ask(case: Case, order: Order) -> str:
    attempt = _live(case)
    partner = _whole_partner(case)
    _check_may_ask(attempt, partner)
    with locked_attempt(attempt.pk) as (current, loan):
        if current.status not in SILENT:
            raise StaleAttempt
        note_on_attempt(current, next_query_at=order.now)
        _note(loan, order, f"Wants M-Pesa asked now: {order.reason}", current)
    if order.is_one_of_many:
        return "The next pass asks M-Pesa."
    if not ask_one(attempt.pk, mpesa_client(partner)):
        raise Refused("M-Pesa did not take the question. The next pass asks again.")
    return "M-Pesa was asked. Its answer comes as a message, mostly within a minute."


def _check_may_ask(attempt: DisbursementRequest, partner: Partner) -> None:
    if not is_its_rail(attempt, partner):
        raise Refused(
            f"It was sent from shortcode {attempt.mpesa_shortcode}; the partner has another now. "
            "Settle it by hand, with the statement of that shortcode."
        )
    shortcode = shortcode_of(attempt.mpesa_environment, attempt.mpesa_shortcode)
    if shortcode.breaker_opened_at is not None and shortcode.is_credential_refused:
        # Each further try feeds the lock of the operator (contracts/mpesa.md 4).
        raise Refused("M-Pesa refuses our credential. An administrator must correct it first.")


def _record(case: Case, order: Order) -> str:
    attempt = _live(case)
    with locked_attempt(attempt.pk) as (current, loan):
        if current.status != AttemptStatus.PAID:
            raise StaleAttempt
        tell_again(current, loan, actor=order.actor, now=order.now)
        _note(loan, order, f"Wants Mifos X told now: {order.reason}", current)
    partner = _whole_partner(case)
    if record_one(attempt.pk, Books(partner=partner, mifos=mifos_client(partner))):
        return f"Mifos X now shows {_amount(case)} as disbursed."
    loan = LoanTracking.objects.get(pk=case.loan.pk)
    raise Refused(f"Not recorded yet. {without_phones(loan.error_message)}".strip())


def _resolve(case: Case, order: Order) -> str:
    attempt = case.questioned
    if attempt is None:
        raise Refused(CHANGED)
    propose(
        attempt.pk,
        outcome=ResolutionOutcome(order.outcome),
        receipt=order.receipt,
        reason=order.reason,
        by=order.user,
        now=order.now,
    )
    said = OUTCOME_WORDS[ResolutionOutcome(order.outcome)]
    return f"Proposed: {said}. Nothing moves until another person confirms it."


def _confirm(case: Case, order: Order) -> str:
    if case.proposal is None:
        raise Refused(CHANGED)
    confirm(case.proposal.pk, by=order.user, now=order.now)
    if order.reason:
        _note_on(case, order, f"Confirmed: {order.reason}")
    if is_recorded_by_hand(case.proposal):
        return f"Settled as paid. {RECORD_BY_HAND}"
    if case.proposal.outcome == ResolutionOutcome.PAID:
        return "Settled as paid. Mifos X is told at the next pass, if it does not know yet."
    if case.proposal.disbursement_request.status in MONEY_MOVED:
        return "Settled as not paid. If Mifos X shows the disbursement, undo it there."
    return "Settled as not paid. An operator may now pay again."


def _withdraw(case: Case, order: Order) -> str:
    if case.proposal is None:
        raise Refused(CHANGED)
    withdraw(case.proposal.pk, by=order.user, now=order.now)
    _note_on(case, order, f"Withdrawn because: {order.reason}")
    return "The proposal is withdrawn."


def _reread(case: Case, order: Order) -> str:
    loan = case.loan
    partner = Partner.objects.prefetch_related("products").get(pk=loan.partner_id)
    _note_on(case, order, f"Wants Mifos X read now: {order.reason}")
    try:
        _read_now(partner, loan, order)
    except MifosError as exc:
        raise Refused(f"Mifos X could not be read. {exc}") from exc
    today = timezone.localdate(order.now)
    decide_pending(partner, gate=gate_for(partner), now=order.now, today=today)
    return "Mifos X was read. What it says now is below."


def _read_now(partner: Partner, loan: LoanTracking, order: Order) -> None:
    mifos = mifos_client(partner)
    try:
        fetch_one(partner, mifos, loan.loan_id, now=order.now)
    except MifosNotFound:
        logger.info("loan %s is not in Mifos X any more", loan.pk)
    if loan.status == LoanStatus.PENDING:
        cancel_or_keep(loan.pk, loan.loan_id, mifos, now=order.now)


def _cycle(case: Case, order: Order) -> str:
    with transaction.atomic():
        fresh = open_new_cycle(case.loan.pk, actor=order.actor, reason=order.reason, now=order.now)
        request_approval(fresh.pk, by=order.actor, now=order.now)
    return f"Cycle {fresh.cycle} is open. It waits for the approval of another person."


def _note(
    loan: LoanTracking, order: Order, reason: str, attempt: DisbursementRequest | None = None
) -> None:
    details = {"disbursement_request_id": attempt.pk} if attempt else {}
    note_change(loan, actor=order.actor, reason=reason, at=order.now, details=details)


def _note_on(case: Case, order: Order, reason: str) -> None:
    with transaction.atomic():
        _note(lock_loan(case.loan.pk), order, reason)


def _any(case: Case) -> DisbursementRequest:
    if case.attempt is None:
        raise Refused(CHANGED)
    return case.attempt


def _live(case: Case) -> DisbursementRequest:
    if case.live is None:
        raise Refused(CHANGED)
    return case.live


def _whole_partner(case: Case) -> Partner:
    """Return the partner with its secrets, which pages do not read."""
    return Partner.objects.get(pk=case.loan.partner_id)


def _amount(case: Case) -> str:
    loan = case.loan
    net = loan.net_disbursal_amount
    return money(loan.loan_amount if net is None else net, loan.currency)


DO: dict[str, Callable[[Case, Order], str]] = {
    "approve": _approve,
    "decline": _decline,
    "hold": _hold,
    "release": _release,
    "retry": _retry,
    "ask": _ask,
    "record": _record,
    "resolve": _resolve,
    "confirm": _confirm,
    "withdraw": _withdraw,
    "reread": _reread,
    "cycle": _cycle,
}
