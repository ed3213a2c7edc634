"""Step 5: what M-Pesa paid is recorded in Mifos X, and verified there. Recording never pays.

Read first: ours is there → done; another's is there → a person; else one POST, verified by a read.
A refusal or a silence leaves the attempt `paid` and is tried again with growing pauses, for ever.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import F
from django.utils import timezone

from disbursements.checker import wait_for_checker
from disbursements.identity import record_idempotency_key
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import StaleAttempt, note_on_attempt
from disbursements.receipts import is_struck
from disbursements.shown import look
from disbursements.unrecorded import alarm, call, later
from loans.models import ReviewReason
from loans.review import was_called
from mifos.client import (
    AwaitingChecker,
    Disbursed,
    DisburseOrder,
    LoanDetail,
    MifosClient,
    MifosCredentials,
    MifosError,
    MifosNotFound,
    MifosRefused,
    MifosUnreachable,
    MifosUnreadable,
)
from partners.models import Partner
from partners.overlap import Patience, leave_database, overlap
from prepared.statements import Prepared, Rows, Slot

logger = logging.getLogger(__name__)
_paid_attempts = Prepared(DisbursementRequest)
_attempt = Rows(
    lambda: DisbursementRequest.objects.select_related("loan_tracking").filter(pk=Slot("pk"))
)
LEASE_SECONDS = 300  # another pass leaves an attempt alone that is being recorded now
BUSY_PATIENCE = timedelta(hours=1)
NOT_PAID_AFTER_ALL = (
    "Two people said that this loan was not paid, so Mifos X is told nothing: pay the client "
    "another way and disburse the loan there by hand, or have it rejected there"
)
WAITS_AND_NOT_PAID = (
    "Two people said that this loan was not paid, and a record of it waits for a checker in Mifos "
    "X: have it rejected there, then pay the client another way and disburse the loan by hand"
)


@dataclass(kw_only=True)
class Books:
    """One partner's Mifos X, for one round of recording. Its business date is asked for once a
    day."""

    partner: Partner
    mifos: MifosClient
    patience: Patience = field(default_factory=Patience)
    _today: date | None = None
    _asked_on: date | None = None  # by our own calendar
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def today(self) -> date:
        """Return Mifos X's business date. Raises MifosError."""
        with self._lock:
            now = timezone.now()
            if self._today is None or self._asked_on != timezone.localdate(now):
                leave_database()
                self._today = self.mifos.business_date(now=now)
                self._asked_on = timezone.localdate(now)
            return self._today


def record_paid(partner: Partner, mifos: MifosClient, *, deadline: float | None = None) -> int:
    """Record every paid attempt that is due; return how many are now verified in Mifos X."""
    books = Books(partner=partner, mifos=mifos, patience=Patience(deadline=deadline))

    def record(pk: int) -> bool:
        return record_one(pk, books)

    due = books.patience.while_kept(due_to_record(partner))
    return sum(overlap(record, due, workers=partner.mifos_concurrency))


def record_one(pk: int, books: Books) -> bool:
    """Bring one paid attempt into Mifos X. True when it is verified there."""
    attempt = _lease(pk, now=timezone.now())
    if attempt is None:
        return False
    leave_database()
    try:
        loan = books.mifos.loan(attempt.loan_tracking.loan_id)
        books.patience.note(success=True)
        return _record(attempt, loan, books)
    except StaleAttempt:
        # We slept past our lease, and another pass has recorded and verified it meanwhile.
        logger.info("attempt %s was recorded by another pass", pk)
    except MifosNotFound:
        call(attempt, "Mifos X no longer knows this loan")
    except MifosError as exc:
        is_away = isinstance(exc, MifosUnreachable | MifosCredentials)
        books.patience.note(success=not is_away or isinstance(exc, MifosUnreadable))
        later(attempt, f"Mifos X could not be reached: {exc}")
    return False


def _record(attempt: DisbursementRequest, loan: LoanDetail, books: Books) -> bool:
    found = look(attempt, loan)
    if found is not None:
        return found
    if is_struck(attempt.transaction_receipt):
        is_told = attempt.mifos_command_id is not None
        why = WAITS_AND_NOT_PAID if is_told else NOT_PAID_AFTER_ALL
        call(attempt, why, ReviewReason.BOOKS_DIFFER)
        return False
    if attempt.mifos_command_id is not None:
        return wait_for_checker(attempt, books.mifos)
    if not loan.waiting_for_disbursal:
        call(attempt, f"The loan is paid, and in Mifos X it has status {loan.status_id}")
        return False
    if loan.principal != attempt.principal:
        # Posting less than was approved lowers the loan, silently (contracts/mifos.md 5.1).
        message = (
            f"Paid for a principal of KES {attempt.principal}, and Mifos X now shows "
            f"{loan.principal}"
        )
        alarm(attempt, ReviewReason.MIFOS_CHANGED, message)
        return False
    if loan.net_disbursal_amount not in {None, attempt.amount}:
        # It is recorded all the same, for it is paid; what was booked beside it, a person mends.
        message = (
            f"Paid KES {attempt.amount}, and Mifos X now counts a net payout of "
            f"{loan.net_disbursal_amount}: a charge was changed"
        )
        if not was_called(attempt.loan_tracking, message):  # it is the same at every try
            alarm(attempt, ReviewReason.BOOKS_DIFFER, message)
    order = _order(attempt, loan, books)
    leave_database()
    try:
        answer = books.mifos.disburse(order)
    except MifosError as exc:
        return _not_recorded(attempt, exc, books.mifos)
    return _after_post(attempt, answer, books.mifos)


def _lease(pk: int, *, now: datetime) -> DisbursementRequest | None:
    """Take the attempt for this pass; its next turn comes by itself should we die."""
    leased = _paid_attempts.filter(
        pk=pk, status=AttemptStatus.PAID, next_record_at__lte=now
    ).update(
        next_record_at=now + timedelta(seconds=LEASE_SECONDS), record_tries=F("record_tries") + 1
    )
    if leased != 1:
        return None
    return _attempt.get(pk=pk)


async def end_lease(pk: int) -> None:
    """Let an attempt be recorded now although its recorder has not finished: the queue says that
    it is dead.

    Should it only sleep, two record at once, as after a lease that ran out: each reads first, both
    post under one key, and only what a read shows is believed.
    """
    now = timezone.now()
    held = DisbursementRequest.objects.filter(
        pk=pk, status=AttemptStatus.PAID, next_record_at__gt=now
    )
    await held.aupdate(next_record_at=now)


def due_to_record(partner: Partner) -> list[int]:
    """Return the paid attempts of the partner that Mifos X is to be told of now."""
    due = DisbursementRequest.objects.filter(
        partner=partner, status=AttemptStatus.PAID, next_record_at__lte=timezone.now()
    )
    return list(due.order_by("next_record_at").values_list("pk", flat=True))


def _order(attempt: DisbursementRequest, loan: LoanDetail, books: Books) -> DisburseOrder:
    """Return the order to post. Its date is committed first and kept for every repeat."""
    if attempt.record_date is None:
        on = _disbursed_on(attempt, loan, business_date=books.today())
        note_on_attempt(attempt, record_date=on)
    paid_on = timezone.localdate(attempt.money_moved_at)
    return DisburseOrder(
        loan_id=attempt.loan_tracking.loan_id,
        principal=attempt.principal,
        on=attempt.record_date or paid_on,
        payment_type_id=books.partner.mifos_payment_type_id or 0,
        receipt_number=attempt.transaction_receipt,
        account_number=attempt.msisdn,
        routing_code=attempt.conversation_id,
        external_id=attempt.mifos_external_id,
        idempotency_key=record_idempotency_key(
            tenant=books.partner.mifos_tenant_id,
            loan_id=attempt.loan_tracking.loan_id,
            external_id=attempt.mifos_external_id,
            key_no=attempt.record_key_no,
        ),
        note=f"Paid by M-Pesa on {paid_on}, receipt {attempt.transaction_receipt}",
    )


def _disbursed_on(attempt: DisbursementRequest, loan: LoanDetail, *, business_date: date) -> date:
    """The day M-Pesa paid, unless Mifos X's calendar is behind it or approved the loan later."""
    paid_on = timezone.localdate(attempt.money_moved_at)
    return max(min(paid_on, business_date), loan.approved_on or date.min)


def _after_post(
    attempt: DisbursementRequest, answer: Disbursed | AwaitingChecker, mifos: MifosClient
) -> bool:
    if isinstance(answer, AwaitingChecker):
        note_on_attempt(attempt, mifos_command_id=answer.command_id)
        later(attempt, "Paid; the record in Mifos X waits for a checker's approval")
        return False
    return _verify(attempt, mifos, otherwise="Mifos X said disbursed, and does not show it yet")


def _verify(attempt: DisbursementRequest, mifos: MifosClient, *, otherwise: str) -> bool:
    """Believe only what a read shows."""
    leave_database()
    found = look(attempt, mifos.loan(attempt.loan_tracking.loan_id))
    if found is None:
        later(attempt, otherwise)
    return bool(found)


def _not_recorded(attempt: DisbursementRequest, exc: MifosError, mifos: MifosClient) -> bool:
    """The POST was refused or lost. Mifos X's books decide which: read them before believing it."""
    match exc:
        case MifosRefused():
            # The stored error would be replayed under this key for ever (contracts/mifos.md 6).
            note_on_attempt(attempt, record_key_no=attempt.record_key_no + 1, record_date=None)
            if _verify(attempt, mifos, otherwise=f"Mifos X refuses the record: {exc}"):
                return True
            alarm(
                attempt,
                ReviewReason.PAID_NOT_RECORDED,
                f"Paid, and Mifos X refuses the record: {exc}",
            )
            return False
        case _ if exc.replayed:
            note_on_attempt(attempt, record_key_no=attempt.record_key_no + 1)
    if not isinstance(exc, MifosCredentials) and _waits_too_long(attempt):
        alarm(attempt, ReviewReason.PAID_NOT_RECORDED, f"Paid, and not recorded yet: {exc}")
    later(attempt, f"Paid; Mifos X did not take the record yet: {exc}")
    return False


def _waits_too_long(attempt: DisbursementRequest) -> bool:
    return timezone.now() - (attempt.paid_at or timezone.now()) > BUSY_PATIENCE
