"""The steps as jobs. Each is given an id, reads the state, and does what that state asks for.

No job ever repeats a payment: it enters the step again, and the step reads what is committed. A job
that fails is not tried again by the queue, except where a repeat is harmless; the sweep hands over
what is still due.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status

from disbursements import handover
from disbursements.ask import ask_one, call_people, doubt_the_dead, due_to_ask, may_ask
from disbursements.floats import ask_balance_if_short
from disbursements.handover import Job
from disbursements.models import DisbursementRequest, TriggeredBy
from disbursements.passes import is_polled, run_hook, serving
from disbursements.process import due_loans, pay_loan
from disbursements.record import Books, due_to_record, end_lease, record_one
from disbursements.resend import due_again, send_again, take_back_unsent
from disbursements.serve import decide_for, fetch_for, note_error, open_shop
from disbursements.settle import apply_callback, left_over_callbacks, unread_callbacks
from disbursements.shop import Shop
from loans.models import LoanStatus, LoanTracking
from mifos.client import MifosError
from partners.gateways import NotConfigured, mifos_client, mpesa_client
from partners.models import Partner
from prepared.statements import Slot, Tuples

logger = logging.getLogger(__name__)

# How long a worker trusts what it read of a partner for all its loans: business date, permissions,
# calendar, and whether Mifos X and M-Pesa answer at all.
VISIT_SECONDS = 60.0
DOOR_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
# A worker that says nothing for so long is dead, and its jobs are another's.
DEAD_AFTER_SECONDS = 20.0
FAILED_JOBS_ARE_KEPT_HOURS = 14 * 24
EVERY_FEW_SECONDS = "* * * * * */5"  # the sixth field is seconds
EVERY_MINUTE = "* * * * *"
EVERY_HOUR = "7 * * * *"
READ_AGAIN = RetryStrategy(max_attempts=5, exponential_wait=3)


_partner_of_attempt = Tuples(
    lambda: DisbursementRequest.objects.filter(pk=Slot("attempt")).values_list("partner_id")
)
_partner_of_pending = Tuples(
    lambda: LoanTracking.objects.filter(
        pk=Slot("loan"), status=LoanStatus.PENDING, review_reason=""
    ).values_list("partner_id")
)


@dataclass(kw_only=True)
class Visit:
    """One worker process at one partner, for a minute. `shop` is None when it cannot be opened."""

    shop: Shop | None
    books: Books
    ends_at: float


@dataclass
class Visits:
    """The visits of this process: what holds for all loans of a partner is read once."""

    _visits: dict[int, Visit] = field(default_factory=dict)
    _doors: dict[int, threading.Lock] = field(default_factory=dict)
    _turned_away: set[int] = field(default_factory=set)

    def of(self, partner_id: int) -> Visit | None:
        """Return the visit to a partner, or None while another thread opens the first.

        Nobody waits long at the door: a partner whose Mifos X hangs would take every thread of the
        worker. While a visit is renewed, the one before serves on. Who finds none is handed over
        again by whoever opens, and at the latest by the sweep. Raises NotConfigured when not even
        Mifos X is set up.
        """
        kept = self._visits.get(partner_id)
        if kept is not None and time.monotonic() < kept.ends_at:
            return kept
        door = self._doors.setdefault(partner_id, threading.Lock())
        serves_on = kept is not None and time.monotonic() < kept.ends_at + VISIT_SECONDS
        if not door.acquire(timeout=0 if serves_on else DOOR_SECONDS):
            if serves_on:
                return kept
            self._turned_away.add(partner_id)
            return None
        try:
            visit = self._open(partner_id)
        finally:
            door.release()
        self._call_back(partner_id, visit)
        return visit

    def forget(self) -> None:
        """End all visits."""
        self._visits.clear()

    def _open(self, partner_id: int) -> Visit:
        visit = self._visits.get(partner_id)
        if visit is None or time.monotonic() >= visit.ends_at:
            visit = self._visits[partner_id] = _begin_visit(partner_id)
        return visit

    def _call_back(self, partner_id: int, visit: Visit) -> None:
        """Hand over again what was turned away while the door was being opened."""
        if partner_id in self._turned_away and visit.shop is not None:
            self._turned_away.discard(partner_id)
            hand_over_due(visit.shop.partner)


visits = Visits()


@app.task(name=Job.POLL)
def poll(pk: int) -> None:
    """Fetch one partner's waiting list and hand over what may be paid."""
    partner = serving().filter(pk=pk).first()
    if partner is None:
        return
    if is_polled(partner) and _is_poll_due(partner, now=timezone.now()):
        fetch_for(partner)
    hand_over_due(partner)


@app.task(name=Job.SWEEP)
def sweep(pk: int) -> None:
    """Hand over all that is due at one partner: the net below every other hand-over."""
    partner = serving().filter(pk=pk).first()
    if partner is not None:
        hand_over_due(partner)


@app.task(name=Job.LOOK)
def look(partner_id: int, loan_id: int) -> None:
    """Look at the loan that a hook names, and pay it if it may be paid."""
    run_hook(partner_id=partner_id, loan_id=loan_id)


@app.task(name=Job.PAY)
def pay(pk: int) -> None:
    """Pay one pending loan."""
    shop = _shop_for(_only(_partner_of_pending.all(loan=pk)))
    if shop is not None:
        pay_loan(pk, shop)
        _tell_trouble(shop)


@app.task(name=Job.RESEND)
def resend(pk: int) -> None:
    """Send one attempt again under its own id."""
    shop = _shop_for(_partner_of(pk))
    if shop is not None:
        send_again(pk, shop)
        _tell_trouble(shop)


@app.task(name=Job.SETTLE, retry=READ_AGAIN)
def settle(pk: int) -> None:
    """Read one kept callback."""
    apply_callback(pk)


@app.task(name=Job.RECORD)
def record(pk: int) -> None:
    """Bring one paid attempt into Mifos X."""
    partner_id = _partner_of(pk)
    visit = visits.of(partner_id) if partner_id else None
    if visit is not None and not visit.books.patience.is_lost:
        record_one(pk, visit.books)


@app.task(name=Job.ASK)
def ask(pk: int) -> None:
    """Ask M-Pesa about one silent attempt."""
    partner = Partner.objects.filter(attempts=pk, is_mpesa_configured=True).first()
    if partner is not None and may_ask(partner):
        ask_one(pk, mpesa_client(partner))


@app.periodic(cron=EVERY_FEW_SECONDS)
@app.task(name="poll_partners", queue=Job.POLL, queueing_lock="poll_partners", priority=60)
def poll_partners(timestamp: int) -> None:
    """Hand over the poll of each partner whose interval is over."""
    late = timezone.now() - timedelta(seconds=settings.LOANPOLL_POLL_INTERVAL)
    due = Q(last_polled_at=None) | Q(last_polled_at__lte=late)
    for pk in _keys_of(serving().filter(due, is_active=True, is_mifos_configured=True)):
        handover.partner(Job.POLL, pk)


@app.periodic(cron=EVERY_MINUTE)
@app.task(name="sweep_partners", queue=Job.SWEEP, queueing_lock="sweep_partners", priority=60)
def sweep_partners(timestamp: int) -> None:
    """Hand over a sweep of every partner with work, and the letters that are nobody's."""
    handover.callbacks(left_over_callbacks(serving(), now=timezone.now()))
    for pk in _keys_of(serving()):
        handover.partner(Job.SWEEP, pk)


@app.periodic(cron=EVERY_FEW_SECONDS)
@app.task(name="free_stalled", queue=Job.SWEEP, queueing_lock="free_stalled", pass_context=True)
async def free_stalled(context: JobContext, timestamp: int) -> None:
    """Give the jobs of dead workers to the living. By itself the queue never does."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
        logger.warning("job %s of a dead worker is taken over", job.call_string)
        if job.task_name == Job.RECORD:
            await end_lease(cast(int, job.task_kwargs["pk"]))
        try:
            await manager.retry_job(job)
        except UniqueViolation:  # a twin waits already, and only for this one's end
            await manager.finish_job(job, Status.ABORTED, delete_job=True)


@app.periodic(cron=EVERY_HOUR)
@app.task(name="forget_failed", queue=Job.SWEEP, queueing_lock="forget_failed", pass_context=True)
async def forget_failed(context: JobContext, timestamp: int) -> None:
    """Delete what failed long ago; what succeeded is deleted at once."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=FAILED_JOBS_ARE_KEPT_HOURS,
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )


def hand_over_due(partner: Partner) -> None:
    """Hand over everything of a partner that the committed state says is due."""
    now = timezone.now()
    handover.callbacks(unread_callbacks(partner))
    gate = decide_for(partner)
    take_back_unsent(partner, gate=gate, now=now)
    doubt_the_dead(partner, now=now)
    call_people(partner, now=now)
    # Its settings may be taken away meanwhile: what is paid is still recorded.
    handover.attempts(Job.RECORD, _with_loans(due_to_record(partner)))
    if partner.is_mpesa_configured:
        _hand_over_rail(partner, is_open=gate is None, now=now)


def _hand_over_rail(partner: Partner, *, is_open: bool, now: datetime) -> None:
    if is_open:
        handover.attempts(Job.RESEND, _with_loans(due_again(partner, now=now)))
        handover.payments(partner, due_loans(partner, now=now), now=now)
    if may_ask(partner):
        handover.attempts(Job.ASK, _with_loans(due_to_ask(partner, now=now)))
    ask_balance_if_short(partner, mpesa_client(partner), now=now)


def _keys_of(partners: QuerySet[Partner]) -> list[int]:
    return list(partners.prefetch_related(None).values_list("pk", flat=True))


def _is_poll_due(partner: Partner, *, now: datetime) -> bool:
    interval = timedelta(seconds=settings.LOANPOLL_POLL_INTERVAL)
    return partner.last_polled_at is None or partner.last_polled_at <= now - interval


def _with_loans(pks: list[int]) -> list[tuple[int, int]]:
    attempts = DisbursementRequest.objects.filter(pk__in=pks)
    return list(attempts.values_list("pk", "loan_tracking_id"))


def _partner_of(attempt_pk: int) -> int | None:
    return _only(_partner_of_attempt.all(attempt=attempt_pk))


def _only(rows: list[list[Any]]) -> int | None:
    return next((key for (key,) in rows), None)


def _shop_for(partner_id: int | None) -> Shop | None:
    """Return the partner's shop; a closed one is left alone until the next visit."""
    visit = visits.of(partner_id) if partner_id else None
    return visit.shop if visit and visit.shop and visit.shop.takes_more else None


def _tell_trouble(shop: Shop) -> None:
    """Say on the partner what has no hold to say it: a loan that cannot be read looks ready."""
    if shop.error:
        note_error(shop.partner, shop.error)


def _begin_visit(partner_id: int) -> Visit:
    partner = Partner.objects.prefetch_related("products").get(pk=partner_id)
    try:
        shop: Shop | None = open_shop(partner, TriggeredBy.SCHEDULE)
    except (MifosError, NotConfigured) as exc:
        logger.warning("partner %s cannot be served now: %s", partner.slug, exc)
        if partner.is_mpesa_configured or isinstance(exc, MifosError):  # else it needs no shop
            note_error(partner, str(exc))
        shop = None
    return Visit(
        shop=shop,
        books=Books(partner=partner, mifos=mifos_client(partner)),
        ends_at=time.monotonic() + VISIT_SECONDS,
    )
