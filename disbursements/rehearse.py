"""The dry run: every read of a real pass, none of its writes and no payment."""

from __future__ import annotations

import time
from dataclasses import replace

from django.utils import timezone

from disbursements.models import TriggeredBy
from disbursements.process import DISBURSED_ALREADY, fresh_columns, judge
from disbursements.reports import LoanOutcome, LoanReport, PartnerProcess
from disbursements.reread import LoanGone, Preflight, read_fresh
from disbursements.serve import Orders
from disbursements.shop import Shop
from loans.gates import gate_for
from loans.models import HoldReason, LoanStatus, LoanTracking
from mifos.client import Loan, MifosClient, MifosError
from partners.gateways import NotConfigured, mifos_client, mpesa_client
from partners.models import Partner
from partners.overlap import leave_database, overlap


def rehearse_for(partner: Partner, orders: Orders) -> PartnerProcess:
    """Say for each loan that waits in Mifos X whether this pass would pay it, and why not."""
    report = PartnerProcess(partner=partner.name, slug=partner.slug)
    started = time.monotonic()
    try:
        gate = gate_for(partner)
        report.waiting_because = gate.sentence if gate else ""
        report.loans = _rehearse(partner, orders, report)
    except (MifosError, NotConfigured) as exc:
        report.error = str(exc)
    report.seconds = time.monotonic() - started
    return report


def _rehearse(partner: Partner, orders: Orders, report: PartnerProcess) -> list[LoanReport]:
    mifos = mifos_client(partner)
    shop = Shop(
        partner=partner,
        mifos=mifos,
        mpesa=mpesa_client(partner),
        preflight=Preflight.read(partner, mifos, now=timezone.now()),
        triggered_by=TriggeredBy.SCHEDULE,
        deadline=orders.deadline,
    )

    clients: dict[str, set[int | None]] = {}  # by phone number

    def look(loan: Loan) -> LoanReport:
        told = _look(loan, shop, gate=report.waiting_because)
        clients.setdefault(told.phone_number, set()).add(loan.client_id)
        return told

    waiting = _waiting(mifos, loan_id=orders.loan_id)[: orders.limit]
    told = list(overlap(look, waiting, workers=partner.mifos_concurrency))
    judged = (_held_if_shared(each, clients) for each in told)
    return sorted(judged, key=lambda each: each.loan_id)


def _held_if_shared(told: LoanReport, clients: dict[str, set[int | None]]) -> LoanReport:
    """A loan that no poll has kept yet may share its phone number with another such loan."""
    is_new = told.tracking_id == 0 and told.outcome == LoanOutcome.WOULD_PAY
    if not is_new or len(clients[told.phone_number]) < 2:
        return told
    return replace(told, outcome=LoanOutcome.HELD, reason=str(HoldReason.PHONE_SHARED.label))


def _waiting(mifos: MifosClient, *, loan_id: int | None) -> list[Loan]:
    leave_database()
    if loan_id is not None:
        return [mifos.loan(loan_id)]
    return [loan for page in mifos.approved_loans() for loan in page]


def _look(listed: Loan, shop: Shop, *, gate: str) -> LoanReport:
    known = (
        LoanTracking.objects.filter(partner=shop.partner, loan_id=listed.loan_id)
        .order_by("-cycle")
        .first()
    )
    if known is not None and known.status != LoanStatus.PENDING:
        return _told(known, shop, f"It is {known.get_status_display().lower()} already")
    try:
        fresh = read_fresh(shop.mifos, listed.loan_id)
    except (MifosError, LoanGone) as exc:
        unread = known or LoanTracking(partner=shop.partner, loan_id=listed.loan_id)
        return _told(unread, shop, str(exc) or "Mifos X no longer knows this loan")
    loan = known or LoanTracking(partner=shop.partner, loan_id=listed.loan_id)
    columns = fresh_columns(fresh)
    was_reopened = loan.approval_cause == HoldReason.REOPENED
    if fresh.loan.disbursals:
        loan.approval_cause = HoldReason.REOPENED
    elif loan.phone_number not in {"", columns["phone_number"]} and not was_reopened:
        loan.approval_cause = HoldReason.PHONE_CHANGED
    for name, value in columns.items():
        setattr(loan, name, value)
    if not fresh.loan.waiting_for_disbursal:
        return _told(loan, shop, "It no longer waits in Mifos X")
    if loan.review_reason:
        return _told(loan, shop, loan.error_message or str(loan.get_review_reason_display()))
    if any(not each.is_reversed for each in fresh.loan.disbursals):
        return _told(loan, shop, DISBURSED_ALREADY)
    refusal = judge(loan, fresh, shop)
    return _told(loan, shop, refusal.sentence if refusal else gate)


def _told(loan: LoanTracking, shop: Shop, why_not: str) -> LoanReport:
    return LoanReport(
        partner=shop.partner.slug,
        tracking_id=loan.pk or 0,
        loan_id=loan.loan_id,
        client_name=loan.client_name,
        phone_number=loan.phone_number,
        amount=loan.net_disbursal_amount,
        outcome=LoanOutcome.HELD if why_not else LoanOutcome.WOULD_PAY,
        reason=why_not,
    )
