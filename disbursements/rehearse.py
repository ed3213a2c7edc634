"""The dry run: every read of a real pass, none of its writes and no payment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from django.utils import timezone

from disbursements.claiming import limit_refusal
from disbursements.process import DISBURSED_ALREADY, fresh_columns, is_news, judge
from disbursements.reports import LoanOutcome, LoanReport, PartnerProcess
from disbursements.reread import FreshLoan, LoanGone, Preflight, read_fresh
from disbursements.retry import is_retried
from disbursements.serve import Orders, check_configured
from loans.decide import rehearse_decision
from loans.gates import gate_for
from loans.models import HoldReason, LoanStatus, LoanTracking
from loans.refresh import APPROVED_TERMS
from loans.rules import facts_of
from loans.terms import columns_of_loan, terms_differ
from mifos.client import Loan, MifosClient, MifosError
from partners.gateways import NotConfigured, mifos_client
from partners.models import Partner
from partners.overlap import leave_database, overlap

NOT_FETCHED = "No poll has found it yet: scheduled_loan_sync does, and then judges it"
BEYOND_LIMIT = "The limit of this run is reached; the next pass goes on"
LAST = (date.max, float("inf"))


@dataclass(slots=True)
class Seen:
    """A loan as the pass would keep it, never saved, and why it would not be paid, or nothing."""

    loan: LoanTracking
    why_not: str = ""

    @property
    def turn(self) -> tuple[bool, date, float, int]:
        """Sort as a pass takes loans up: the free before the held, then the oldest approval."""
        loan = self.loan
        return bool(loan.hold_reason), loan.approved_on or LAST[0], loan.pk or LAST[1], loan.loan_id


def rehearse_for(partner: Partner, orders: Orders, *, fetches: bool = True) -> PartnerProcess:
    """Say for each loan that waits in Mifos X whether this pass would pay it, and why not.

    With `fetches` the pass would first find what no poll has kept yet.
    """
    report = PartnerProcess(partner=partner.name, slug=partner.slug)
    started = time.monotonic()
    try:
        check_configured(partner)
        gate = gate_for(partner)
        report.waiting_because = gate.sentence if gate else ""
        seen = _look_at_all(partner, orders, report, fetches=fetches)
        _hold_what_this_pass_would(partner, seen, orders, fetches=fetches)
        report.loans = [_told(each, partner) for each in seen]
    except (MifosError, NotConfigured) as exc:
        report.error = str(exc)
    report.seconds = time.monotonic() - started
    return report


def _look_at_all(
    partner: Partner, orders: Orders, report: PartnerProcess, *, fetches: bool
) -> list[Seen]:
    """Return the waiting loans in the order of their turns, each judged by itself."""
    mifos = mifos_client(partner)
    preflight = Preflight.read(partner, mifos, now=timezone.now())

    def look(listed: Loan) -> Seen:
        return _look(listed, mifos, preflight, gate=report.waiting_because, fetches=fetches)

    in_time = takewhile(lambda _: not orders.is_out_of_time, _waiting(mifos, orders))
    seen = sorted(overlap(look, in_time, workers=partner.mifos_concurrency), key=_turn)
    report.has_more = orders.is_out_of_time
    return seen


def _turn(seen: Seen) -> tuple[bool, date, float, int]:
    return seen.turn


def _waiting(mifos: MifosClient, orders: Orders) -> list[Loan]:
    leave_database()
    if orders.loan_id is not None:
        return [mifos.loan(orders.loan_id)]
    loans: list[Loan] = []
    for page in mifos.approved_loans():
        loans += page
        if orders.is_out_of_time:
            break
    return loans


def _look(
    listed: Loan, mifos: MifosClient, preflight: Preflight, *, gate: str, fetches: bool
) -> Seen:
    partner = preflight.partner
    cycles = LoanTracking.objects.filter(partner=partner, loan_id=listed.loan_id)
    loan = cycles.order_by("-cycle").first()
    before = {name: getattr(loan, name, None) for name in APPROVED_TERMS}
    if loan is None:
        loan = LoanTracking(partner=partner, loan_id=listed.loan_id)
    elif why_not := _left_alone(loan, listed, partner, fetches=fetches):
        return Seen(loan, why_not)
    try:
        fresh = read_fresh(mifos, listed.loan_id)
    except (MifosError, LoanGone) as exc:
        return Seen(loan, str(exc) or "Mifos X no longer knows this loan")
    is_approval_over = _take(loan, fresh, before)
    why_not = _why_not(loan, fresh, preflight, is_approval_over=is_approval_over)
    return Seen(loan, why_not or gate)


def _left_alone(loan: LoanTracking, listed: Loan, partner: Partner, *, fetches: bool) -> str:
    """Turn over a known row as the pass does before it pays; return why it is not taken up."""
    now = timezone.now()
    comes_back = fetches and loan.status == LoanStatus.CANCELLED
    if loan.status != LoanStatus.PENDING:
        if not (comes_back or is_retried(loan, now=now)):
            return f"It is {loan.get_status_display().lower()} already"
        loan.hold_reason, loan.decided_at = "", None
    if fetches and (comes_back or terms_differ(loan, listed)):
        for name, value in columns_of_loan(listed).items():
            setattr(loan, name, value)
        loan.decided_at = None
    if loan.review_reason or rehearse_decision(
        loan, partner, now=now, today=timezone.localdate(now)
    ):
        return ""
    return loan.error_message or str(loan.get_hold_reason_display())


def _take(loan: LoanTracking, fresh: FreshLoan, before: Mapping[str, Any]) -> bool:
    """Write on the unsaved row what a pass would write of what Mifos X says now. Return whether
    its approvals would end by that."""
    shown = fresh.loan.disbursals
    is_over = bool(loan.pk and shown) and is_news(loan, shown)
    columns = fresh_columns(fresh)
    was_reopened = loan.approval_cause == HoldReason.REOPENED
    if fresh.loan.disbursals:
        loan.approval_cause = HoldReason.REOPENED
    elif loan.phone_number not in {"", columns["phone_number"]} and not was_reopened:
        loan.approval_cause = HoldReason.PHONE_CHANGED
    for name, value in columns.items():
        setattr(loan, name, value)
    return is_over or any(getattr(loan, name) != value for name, value in before.items())


def _why_not(
    loan: LoanTracking, fresh: FreshLoan, preflight: Preflight, *, is_approval_over: bool
) -> str:
    if not fresh.loan.waiting_for_disbursal:
        return "It no longer waits in Mifos X"
    if loan.review_reason:
        return loan.error_message or str(loan.get_review_reason_display())
    if any(not each.is_reversed for each in fresh.loan.disbursals):
        return DISBURSED_ALREADY
    refusal = judge(loan, fresh, preflight, is_approval_over=is_approval_over)
    return refusal.sentence if refusal else ""


def _hold_what_this_pass_would(
    partner: Partner, seen: list[Seen], orders: Orders, *, fetches: bool
) -> None:
    """Hold what is right by itself, and not beside the others."""
    if fetches:
        _hold_shared_phones(seen)
    else:
        for each in _would_pay(seen):
            each.why_not = "" if each.loan.pk else NOT_FETCHED
    _hold_over_limits(partner, seen, now=timezone.now())
    for each in list(_would_pay(seen))[orders.limit or len(seen) :]:
        each.why_not = BEYOND_LIMIT


def _would_pay(seen: Iterable[Seen]) -> Iterable[Seen]:
    return (each for each in seen if not each.why_not)


def _hold_shared_phones(seen: list[Seen]) -> None:
    """A loan that no poll has kept yet may share its phone number with one that waits."""
    clients: dict[str, set[int | None]] = {}
    for each in seen:
        clients.setdefault(each.loan.phone_number, set()).add(each.loan.client_id)
    found = {each.loan.phone_number for each in seen if each.loan.pk is None}
    for each in _would_pay(seen):
        number = each.loan.phone_number
        if number in found and len(clients[number]) > 1 and not _may_share(each.loan):
            each.why_not = str(HoldReason.PHONE_SHARED.label)


def _may_share(loan: LoanTracking) -> bool:
    [facts] = facts_of([loan])
    return HoldReason.PHONE_SHARED in facts.approved_causes


def _hold_over_limits(partner: Partner, seen: list[Seen], *, now: datetime) -> None:
    """A day's limit takes them in turn: what is paid before leaves the rest less."""
    before: list[LoanTracking] = []
    for each in _would_pay(seen):
        refusal = limit_refusal(partner, each.loan, before=before, now=now)
        if refusal is None:
            before.append(each.loan)
        else:
            each.why_not = refusal.sentence


def _told(seen: Seen, partner: Partner) -> LoanReport:
    loan = seen.loan
    return LoanReport(
        partner=partner.slug,
        tracking_id=loan.pk or 0,
        loan_id=loan.loan_id,
        client_name=loan.client_name,
        phone_number=loan.phone_number,
        amount=loan.net_disbursal_amount,
        outcome=LoanOutcome.HELD if seen.why_not else LoanOutcome.WOULD_PAY,
        reason=seen.why_not,
    )
