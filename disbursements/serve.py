"""One partner's share of a pass: every step in order, none of them able to stop another partner."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from disbursements.ask import ask_the_silent, call_people, doubt_the_dead
from disbursements.floats import ask_balance_if_short
from disbursements.models import AttemptStatus, DisbursementRequest, TriggeredBy
from disbursements.process import OUTCOMES, due_loans, pay_due_loans
from disbursements.record import record_paid
from disbursements.reports import LoanReport, PartnerProcess
from disbursements.reread import Preflight
from disbursements.resend import due_again, send_due_again, take_back_unsent
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_unread_callbacks
from disbursements.shop import Shop
from loans.decide import decide_pending
from loans.eligibility import Refusal
from loans.fetch import PartnerFetch, fetch_partner, note_poll
from loans.gates import gate_for
from loans.models import HoldReason, LoanStatus, LoanTracking
from mifos.client import MifosError
from partners.gateways import NotConfigured, mifos_client, mpesa_client
from partners.models import Partner

logger = logging.getLogger(__name__)
SHARE_FOR_FETCHING = 0.4
SHARE_FOR_PAYING = 0.6
GLANCE_SECONDS = 0.25  # between two looks for callbacks while a pass waits
OPEN_STATES = (AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN, AttemptStatus.PAID)
REPORTED = ("pk", "status", "transaction_receipt", "result_code", "loan_tracking__error_message")
REPORTED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """What a pass was asked to do. `deadline` is monotonic seconds."""

    triggered_by: TriggeredBy
    started_at: datetime
    loan_id: int | None = None
    limit: int | None = None
    deadline: float | None = None
    wait_seconds: float = 0

    @property
    def is_out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def fetches_until(self) -> float | None:
        """A list longer than the budget must leave time for paying what is known."""
        if self.deadline is None:
            return None
        now = time.monotonic()
        return now + (self.deadline - now) * SHARE_FOR_FETCHING

    @property
    def pays_until(self) -> float | None:
        """Part of what time is left belongs to what is paid already: it is asked and recorded."""
        if self.deadline is None:
            return None
        now = time.monotonic()
        return now + (self.deadline - now) * SHARE_FOR_PAYING


def fetch_for(partner: Partner, *, deadline: float | None = None) -> PartnerFetch:
    """Poll one partner. Whatever goes wrong is told in the report and on the partner."""
    now = timezone.now()
    try:
        check_configured(partner)
        return fetch_partner(partner, mifos_client(partner), now=now, deadline=deadline)
    except NotConfigured as exc:
        error = str(exc)
    except Exception:
        logger.exception("the poll of partner %s failed", partner.slug)
        error = "The poll failed inside Loan Poll; see the log"
    note_poll(partner, error=error, now=now)
    return PartnerFetch(partner=partner.name, slug=partner.slug, error=error)


def check_configured(partner: Partner) -> None:
    """Raise NotConfigured when Mifos X is switched off for this partner."""
    if not partner.is_mifos_configured:
        raise NotConfigured(f"The Mifos X settings of {partner.name} are not complete")


def process_for(partner: Partner, orders: Orders) -> PartnerProcess:
    """Pay, settle and record for one partner. Whatever goes wrong is told in the report."""
    report = PartnerProcess(partner=partner.name, slug=partner.slug)
    started = time.monotonic()
    try:
        _process(partner, orders, report)
    except (NotConfigured, MifosError) as exc:
        report.error = report.error or str(exc)
    except Exception:
        logger.exception("processing for partner %s failed", partner.slug)
        report.error = "Processing failed inside Loan Poll; see the log"
    if report.error:
        note_error(partner, report.error)
    report.seconds = time.monotonic() - started
    return report


def _process(partner: Partner, orders: Orders, report: PartnerProcess) -> None:
    # First of all: a letter whose reader died may stop the shortcode (reliability.md S20).
    apply_unread_callbacks(partner)
    gate = decide_for(partner)
    report.waiting_because = gate.sentence if gate else ""
    take_back_unsent(partner, gate=gate, now=timezone.now())
    if partner.is_mpesa_configured:  # without M-Pesa, loans are found and shown, and none is paid
        _move_money(partner, orders, report, is_open=gate is None)
    elif orders.loan_id is None:  # taken away meanwhile: what was sent before is still seen through
        _finish(partner, orders)
        _tell_if_over(orders, report)
    _count(partner, orders, report)


def _move_money(partner: Partner, orders: Orders, report: PartnerProcess, *, is_open: bool) -> None:
    mpesa = mpesa_client(partner)
    if is_open:
        _pay(partner, orders, report)
    if orders.loan_id is None and not _tell_if_over(orders, report):
        report.asked = ask_the_silent(partner, mpesa, deadline=orders.deadline)
        ask_balance_if_short(partner, mpesa, now=timezone.now())
        record_paid(partner, mifos_client(partner), deadline=orders.deadline)
        _tell_if_over(orders, report)
        _wait_for_callbacks(partner, orders, report)


def _finish(partner: Partner, orders: Orders) -> None:
    now = timezone.now()
    doubt_the_dead(partner, now=now)
    call_people(partner, now=now)
    record_paid(partner, mifos_client(partner), deadline=orders.deadline)


def decide_for(partner: Partner) -> Refusal | None:
    """Keep every hold of the partner true; return what keeps all its loans waiting, or None."""
    now = timezone.now()
    partner = _with_rules_of_now(partner)
    gate = gate_for(partner)
    if gate is None or gate.hold == HoldReason.FLOAT_SHORT:
        # While the float is short they wait for it as held loans, which a withdrawal ends.
        retry_by_policy(partner, now=now)
    decide_pending(partner, gate=gate, now=now, today=timezone.localdate(now))
    return gate


def _with_rules_of_now(partner: Partner) -> Partner:
    """Read the partner again: a loan that is decided by rules that were changed since the pass
    began would stay so. The lock waits for a change that is dated already and not yet committed.
    """
    with transaction.atomic():
        partners = Partner.objects.select_for_update(no_key=True).prefetch_related("products")
        return partners.get(pk=partner.pk)


def _pay(partner: Partner, orders: Orders, report: PartnerProcess) -> None:
    """Open shop only when there is something to pay: an idle pass asks Mifos X nothing more."""
    now = timezone.now()
    due = due_loans(partner, loan_id=orders.loan_id, limit=orders.limit, now=now)
    again = due_again(partner, now=now) if orders.loan_id is None else []
    if not due and not again:
        return
    try:
        shop = open_shop(partner, orders.triggered_by, deadline=orders.pays_until)
    except (MifosError, NotConfigured) as exc:  # the open ones are asked about all the same
        report.error = str(exc)
        return
    report.loans += send_due_again(shop, again)
    report.loans += pay_due_loans(shop, due)
    report.error = shop.error
    report.has_more = shop.is_out_of_time


def open_shop(
    partner: Partner, triggered_by: TriggeredBy, *, deadline: float | None = None
) -> Shop:
    """Read what holds for all loans of the partner. Raises MifosError and NotConfigured."""
    mifos, now = mifos_client(partner), timezone.now()
    return Shop(
        partner=partner,
        mifos=mifos,
        mpesa=mpesa_client(partner),
        preflight=Preflight.read(partner, mifos, now=now),
        triggered_by=triggered_by,
        deadline=deadline,
        day=timezone.localdate(now),  # of the question: the answers may take until midnight
    )


def _tell_if_over(orders: Orders, report: PartnerProcess) -> bool:
    """Return whether the time is over. The report then says that something may be left."""
    report.has_more = report.has_more or orders.is_out_of_time
    return orders.is_out_of_time


def _wait_for_callbacks(partner: Partner, orders: Orders, report: PartnerProcess) -> None:
    """Linger while payments of this pass await their result, to record them in it too."""
    sent = any(loan.disbursement_id for loan in report.loans)
    of_this_pass = DisbursementRequest.objects.filter(
        partner=partner, status__in=OPEN_STATES, last_sent_at__gte=orders.started_at
    )
    until = time.monotonic() + orders.wait_seconds
    while sent and time.monotonic() < until and not orders.is_out_of_time:
        record_paid(partner, mifos_client(partner), deadline=orders.deadline)
        if not of_this_pass.exists():
            return
        time.sleep(GLANCE_SECONDS)


def _count(partner: Partner, orders: Orders, report: PartnerProcess) -> None:
    since = orders.started_at
    attempts = DisbursementRequest.objects.filter(partner=partner)
    report.paid = attempts.filter(paid_at__gte=since).count()
    report.recorded = attempts.filter(completed_at__gte=since).count()
    report.loans = list(_as_they_stand(report.loans))
    loans = LoanTracking.objects.filter(partner=partner)
    report.in_review = loans.exclude(review_reason="").count()
    report.waiting = _waiting(loans)


def _waiting(loans: QuerySet[LoanTracking]) -> dict[str, int]:
    """Count the pending loans by the words of their hold, the most frequent first."""
    pending = loans.filter(status=LoanStatus.PENDING).values_list("hold_reason")
    counted = pending.annotate(count=Count("id")).order_by("-count")
    words = dict(HoldReason.choices)
    return {str(words.get(hold, "The next pass pays it")): count for hold, count in counted}


def _as_they_stand(loans: list[LoanReport]) -> Iterable[LoanReport]:
    """Callbacks may have come since: report each attempt by its present status."""
    for start in range(0, len(loans), REPORTED_AT_ONCE):
        some = loans[start : start + REPORTED_AT_ONCE]
        ids = [loan.disbursement_id for loan in some if loan.disbursement_id]
        rows = DisbursementRequest.objects.filter(pk__in=ids).values(*REPORTED)
        now = {row["pk"]: row for row in rows}
        for loan in some:
            row = now.get(loan.disbursement_id or 0)
            yield loan if row is None else _updated(loan, row)


def _updated(loan: LoanReport, row: dict[str, Any]) -> LoanReport:
    return replace(
        loan,
        outcome=OUTCOMES[AttemptStatus(row["status"])],
        receipt=row["transaction_receipt"],
        result_code=row["result_code"],
        reason=row["loan_tracking__error_message"],
    )


def note_error(partner: Partner, error: str) -> None:
    """Write on the partner why something of it could not be served."""
    Partner.objects.filter(pk=partner.pk).update(
        last_error=error[:500], last_error_at=timezone.now()
    )
