"""Step 5: what M-Pesa paid is recorded in Mifos X, and verified there. Recording never pays.

Read first: ours is there → done; another's is there → a person; else one POST, verified by a read.
A refusal or a silence leaves the attempt `paid` and is tried again with growing pauses, for ever.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from disbursements.identity import record_idempotency_key
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import (
    Move,
    StaleAttempt,
    locked_attempt,
    move_attempt,
    note_on_attempt,
)
from disbursements.receipts import is_struck
from disbursements.sending import backoff_seconds
from loans.audit import note_change
from loans.models import LoanEvent, LoanStatus, LoanTracking, ReviewReason
from loans.review import CALLED, SETTLED, raise_review_locked, was_called
from mifos.client import (
    AwaitingChecker,
    CommandState,
    Disbursal,
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
CHECKER_PATIENCE = timedelta(hours=24)
BUSY_PATIENCE = timedelta(hours=1)
NOT_PAID_AFTER_ALL = (
    "Two people said that this loan was not paid, so Mifos X is told nothing: pay the client "
    "another way and disburse the loan there by hand, or have it rejected there"
)
# Causes that are over once the disbursement is verified in Mifos X.
SETTLED_BY_RECORD = frozenset(
    {
        ReviewReason.PAID_NOT_RECORDED,
        ReviewReason.CHECKER_REJECTED,
        ReviewReason.OUTCOME_UNKNOWN,
        ReviewReason.FAILURE_UNCONFIRMED,
        ReviewReason.MIFOS_CHANGED,
    }
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
        _call(attempt, "Mifos X no longer knows this loan")
    except MifosError as exc:
        is_away = isinstance(exc, MifosUnreachable | MifosCredentials)
        books.patience.note(success=not is_away or isinstance(exc, MifosUnreadable))
        _later(attempt, f"Mifos X could not be reached: {exc}")
    return False


def _record(attempt: DisbursementRequest, loan: LoanDetail, books: Books) -> bool:
    found = _look(attempt, loan)
    if found is not None:
        return found
    if is_struck(attempt.transaction_receipt):
        _call(attempt, NOT_PAID_AFTER_ALL, ReviewReason.BOOKS_DIFFER)
        return False
    if attempt.mifos_command_id is not None:
        return _wait_for_checker(attempt, books.mifos)
    if not loan.waiting_for_disbursal:
        _call(attempt, f"The loan is paid, and in Mifos X it has status {loan.status_id}")
        return False
    if loan.principal != attempt.principal:
        # Posting less than was approved lowers the loan, silently (contracts/mifos.md 5.1).
        message = (
            f"Paid for a principal of KES {attempt.principal}, and Mifos X now shows "
            f"{loan.principal}"
        )
        _alarm(attempt, ReviewReason.MIFOS_CHANGED, message)
        return False
    if loan.net_disbursal_amount not in {None, attempt.amount}:
        # It is recorded all the same, for it is paid; what was booked beside it, a person mends.
        message = (
            f"Paid KES {attempt.amount}, and Mifos X now counts a net payout of "
            f"{loan.net_disbursal_amount}: a charge was changed"
        )
        if not was_called(attempt.loan_tracking, message):  # it is the same at every try
            _alarm(attempt, ReviewReason.BOOKS_DIFFER, message)
    order = _order(attempt, loan, books)
    leave_database()
    try:
        answer = books.mifos.disburse(order)
    except MifosError as exc:
        return _not_recorded(attempt, exc, books.mifos)
    return _after_post(attempt, answer, books.mifos)


def _look(attempt: DisbursementRequest, loan: LoanDetail) -> bool | None:
    """Find the loan's disbursal in Mifos X: True ours, False for a person, None not there."""
    ours = [each for each in loan.disbursals if is_ours(attempt, each)]
    standing = [each for each in loan.disbursals if not each.is_reversed]
    if ours and all(each.is_reversed for each in ours) and _is_superseded(attempt):
        # It was recorded and undone, which is known: what stands there is the later cycle's.
        complete(attempt, ours[-1])
        return False
    if foreign := [each for each in standing if each not in ours]:
        numbers = ", ".join(str(each.transaction_id) for each in foreign)
        what = f"a disbursement that is not ours ({numbers})"
        message = f"Mifos X shows {what}: possible double payment"
        if _is_settled(attempt, message):
            # It is disbursed there, and people know how: left open, it would be said for ever.
            how = f"Settled by two people beside the disbursement {numbers} in Mifos X"
            return complete(attempt, foreign[-1], reason=how)
        _alarm(attempt, ReviewReason.DOUBLE_PAYMENT, message)
        return False
    if not standing:
        # A reversed one of ours means that a person undid it after we paid: never post it again.
        if ours:
            _alarm(
                attempt,
                ReviewReason.UNDONE_AFTER_PAYMENT,
                "Our disbursement in Mifos X was undone by a person after we paid",
            )
            _close_undone(attempt, ours[-1])
            return False
        return None
    if sum(each.amount for each in standing) != attempt.principal:
        _alarm(
            attempt,
            ReviewReason.BOOKS_DIFFER,
            f"Mifos X shows KES {standing[0].amount} disbursed, and the principal is "
            f"{attempt.principal}",
        )
    return complete(attempt, standing[0])


def _close_undone(attempt: DisbursementRequest, undone: Disbursal) -> None:
    """It was recorded: left open, it would take a later cycle's record for a double payment. Not
    while a graver review hides that it was undone: then it is said at the next look."""
    told = ReviewReason.UNDONE_AFTER_PAYMENT
    if LoanTracking.objects.filter(pk=attempt.loan_tracking_id, review_reason=told).exists():
        complete(attempt, undone)


def _is_settled(attempt: DisbursementRequest, message: str) -> bool:
    """Were people told this of the attempt, and have two of them settled it since?"""
    mine = _events_of(attempt)
    # A line that calls nobody may say the same.
    called = mine.filter(reason__in=[message, f"{CALLED}{message}"], details__has_key="review")
    return _is_settled_since(called, mine)


def _events_of(attempt: DisbursementRequest) -> QuerySet[LoanEvent]:
    return LoanEvent.objects.filter(
        loan_tracking=attempt.loan_tracking_id, details__disbursement_request_id=attempt.pk
    )


def _is_settled_since(called: QuerySet[LoanEvent], mine: QuerySet[LoanEvent]) -> bool:
    last = called.order_by("-id").values_list("id", flat=True).first()
    return last is not None and mine.filter(details__has_key=SETTLED, id__gt=last).exists()


def _is_superseded(attempt: DisbursementRequest) -> bool:
    """Has a person opened a later cycle for this loan?"""
    loan = attempt.loan_tracking
    return LoanTracking.objects.filter(
        partner=loan.partner_id, loan_id=loan.loan_id, cycle__gt=loan.cycle
    ).exists()


def is_ours(attempt: DisbursementRequest, disbursal: Disbursal) -> bool:
    """Ours carries our external id or our receipt (contracts/mifos.md 7): a person may have
    entered what was refused, and a server may give external ids of its own."""
    if disbursal.external_id == attempt.mifos_external_id:
        return True
    receipt = attempt.transaction_receipt
    return bool(receipt) and disbursal.receipt_number == receipt


def complete(attempt: DisbursementRequest, disbursal: Disbursal, *, reason: str = "") -> bool:
    """Move a paid attempt to `completed` and its loan to `disbursed`: verified in Mifos X."""
    now = timezone.now()
    with locked_attempt(attempt.pk) as (current, loan):
        if current.status != AttemptStatus.PAID:
            return current.status == AttemptStatus.COMPLETED
        move_attempt(
            current,
            loan,
            Move(
                to_status=AttemptStatus.COMPLETED,
                actor="Mifos X",
                reason=reason or f"Recorded in Mifos X, receipt {current.transaction_receipt}",
                at=now,
                details={
                    "transaction_id": disbursal.transaction_id,
                    "amount": str(disbursal.amount),
                    "date": str(disbursal.date or ""),
                    "external_id": disbursal.external_id,
                },
                columns={"completed_at": now, "next_record_at": None},
                loan_status=LoanStatus.DISBURSED,
                loan_columns={
                    "disbursed_at": now,
                    "next_attempt_at": None,
                    **_settled(loan),
                },
            ),
        )
    return True


def _settled(loan: LoanTracking) -> dict[str, object]:
    if loan.review_reason and loan.review_reason not in SETTLED_BY_RECORD:
        return {}
    return {"review_reason": "", "review_since": None, "error_message": ""}


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


def tell_again(
    attempt: DisbursementRequest, loan: LoanTracking, *, actor: str, now: datetime
) -> None:
    """Let a locked attempt be recorded now, on a person's word. What its checker refused is posted
    as a new command, under a new key: the old one is answered with the old command for ever. So is
    what was called for without a command that waits: its key may have died in Mifos X.

    The refusal is over with that: told once more, it is the same new command, not a third.
    """
    note_on_attempt(attempt, next_record_at=now)
    if loan.review_reason == ReviewReason.CHECKER_REJECTED:
        _leave_the_key(attempt)
        note_change(
            loan,
            actor=actor,
            reason="Mifos X is told by a new command, after its checker refused the last",
            at=now,
            details={"disbursement_request_id": attempt.pk, "record_key_no": attempt.record_key_no},
            review_reason="",
            review_since=None,
        )
    elif loan.review_reason == ReviewReason.PAID_NOT_RECORDED and attempt.mifos_command_id is None:
        _leave_the_key(attempt)


def _leave_the_key(attempt: DisbursementRequest) -> None:
    """Its date may be what was refused: the loan may have been approved anew since."""
    anew = {"mifos_command_id": None, "record_key_no": attempt.record_key_no + 1}
    note_on_attempt(attempt, record_date=None, **anew)


def call_to_unrecorded(partner: Partner, *, now: datetime) -> None:
    """Put what is paid for a day, and not recorded, before a person: a lender who was switched off
    is polled no more, and nothing else tells that its Mifos X is closed to us."""
    late = DisbursementRequest.objects.filter(
        partner=partner,
        status=AttemptStatus.PAID,
        paid_at__lt=now - CHECKER_PATIENCE,
        loan_tracking__review_reason="",
    )
    for pk in list(late.values_list("pk", flat=True)):
        with locked_attempt(pk) as (attempt, loan):
            if attempt.status == AttemptStatus.PAID and _is_unrecorded_too_long(attempt, now=now):
                said = loan.error_message or "Mifos X does not show it yet"
                raise_review_locked(
                    loan,
                    ReviewReason.PAID_NOT_RECORDED,
                    message=f"Paid a day ago, and not recorded: {said}",
                    now=now,
                    disbursement_request_id=pk,
                )


def _is_unrecorded_too_long(attempt: DisbursementRequest, *, now: datetime) -> bool:
    """Not while a new command has its own day, nor once two people have settled that it is so."""
    mine = _events_of(attempt)
    called = mine.filter(details__review=ReviewReason.PAID_NOT_RECORDED.value)
    is_late = now - _waits_since(attempt) > CHECKER_PATIENCE
    return is_late and not _is_settled_since(called, mine)


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
        _later(attempt, "Paid; the record in Mifos X waits for a checker's approval")
        return False
    return _verify(attempt, mifos, otherwise="Mifos X said disbursed, and does not show it yet")


def _verify(attempt: DisbursementRequest, mifos: MifosClient, *, otherwise: str) -> bool:
    """Believe only what a read shows."""
    leave_database()
    found = _look(attempt, mifos.loan(attempt.loan_tracking.loan_id))
    if found is None:
        _later(attempt, otherwise)
    return bool(found)


def _not_recorded(attempt: DisbursementRequest, exc: MifosError, mifos: MifosClient) -> bool:
    """The POST was refused or lost. Mifos X's books decide which: read them before believing it."""
    match exc:
        case MifosRefused():
            # The stored error would be replayed under this key for ever (contracts/mifos.md 6).
            note_on_attempt(attempt, record_key_no=attempt.record_key_no + 1, record_date=None)
            if _verify(attempt, mifos, otherwise=f"Mifos X refuses the record: {exc}"):
                return True
            _alarm(
                attempt,
                ReviewReason.PAID_NOT_RECORDED,
                f"Paid, and Mifos X refuses the record: {exc}",
            )
            return False
        case _ if exc.replayed:
            note_on_attempt(attempt, record_key_no=attempt.record_key_no + 1)
    if not isinstance(exc, MifosCredentials) and _waits_too_long(attempt):
        _alarm(attempt, ReviewReason.PAID_NOT_RECORDED, f"Paid, and not recorded yet: {exc}")
    _later(attempt, f"Paid; Mifos X did not take the record yet: {exc}")
    return False


def _wait_for_checker(attempt: DisbursementRequest, mifos: MifosClient) -> bool:
    """See what became of the command that waits. True when the loan shows it by now."""
    leave_database()
    loan_id = attempt.loan_tracking.loan_id
    state = _state_of_command(attempt, mifos)
    if state == CommandState.PROCESSED:
        found = _look(attempt, mifos.loan(loan_id))
        if found is not None:
            return found
    with locked_attempt(attempt.pk) as (current, _):
        if current.mifos_command_id == attempt.mifos_command_id:
            _note_state(attempt, state)
        # Else it was told by a new command meanwhile, of which the old one's fate says nothing.
    return False


def _state_of_command(attempt: DisbursementRequest, mifos: MifosClient) -> CommandState:
    try:
        return mifos.command_state(
            attempt.mifos_command_id or 0, loan_id=attempt.loan_tracking.loan_id
        )
    except MifosUnreachable:
        # The loan was read a moment ago. Fineract answers HTTP 500 for a command that is deleted.
        return CommandState.UNREADABLE


def _note_state(attempt: DisbursementRequest, state: CommandState) -> None:
    """Write what became of the command of a locked attempt, and call a person if it is in vain."""
    if why := _why_no_checker(state, attempt):
        _alarm(attempt, *why)
    if state == CommandState.OF_ANOTHER_LOAN:
        # We were given another request's answer: ours is posted again, under its own key.
        note_on_attempt(attempt, mifos_command_id=None)
        _later(attempt, "Mifos X named another loan's command; it is told once more")
        return
    _later(attempt, "Paid; the record in Mifos X waits for a checker's approval")


def _why_no_checker(
    state: CommandState, attempt: DisbursementRequest
) -> tuple[ReviewReason, str] | None:
    """Return why it is in vain to wait for the checker, or None."""
    is_late = timezone.now() - _waits_since(attempt) > CHECKER_PATIENCE
    match state:
        case CommandState.REJECTED:
            said = "Paid, and the checker in Mifos X rejected the record"
            return ReviewReason.CHECKER_REJECTED, said
        case CommandState.GONE:
            said = "Paid, and Mifos X no longer knows the record that waited for a checker"
            return ReviewReason.CHECKER_REJECTED, said
        case CommandState.PROCESSED:
            said = "Paid; the checker approved the record, and the loan does not show it"
            return ReviewReason.PAID_NOT_RECORDED, said
        case CommandState.UNREADABLE | CommandState.OF_ANOTHER_LOAN if is_late:
            said = "Paid, and Mifos X does not say what became of the record: see the checker"
            return ReviewReason.PAID_NOT_RECORDED, said
        case _ if is_late:
            return ReviewReason.PAID_NOT_RECORDED, "Paid; the checker in Mifos X has not approved"
    return None


def _waits_since(attempt: DisbursementRequest) -> datetime:
    """Since it was paid, or a person had it told by a new command: that one has a day, too."""
    told = attempt.loan_tracking.events.filter(details__has_key="record_key_no").order_by("-id")
    return told.values_list("at", flat=True).first() or attempt.paid_at or timezone.now()


def _waits_too_long(attempt: DisbursementRequest) -> bool:
    return timezone.now() - (attempt.paid_at or timezone.now()) > BUSY_PATIENCE


def _call(
    attempt: DisbursementRequest,
    message: str,
    reason: ReviewReason = ReviewReason.PAID_NOT_RECORDED,
) -> None:
    """Call a person to what ends by itself by no means, until two of them have settled it."""
    if _is_settled(attempt, message):
        _later(attempt, message)
    else:
        _alarm(attempt, reason, message)


def _alarm(attempt: DisbursementRequest, reason: ReviewReason, message: str) -> None:
    """Call a person, and go on looking with growing pauses: the cause may be mended in Mifos X."""
    with locked_attempt(attempt.pk) as (current, loan):
        # Another may have recorded it meanwhile, which is the end of some causes.
        if current.status == AttemptStatus.PAID or reason not in SETTLED_BY_RECORD:
            raise_review_locked(
                loan,
                reason,
                message=message,
                now=timezone.now(),
                disbursement_request_id=attempt.pk,
            )
    _set_next_turn(attempt)


def _later(attempt: DisbursementRequest, why: str) -> None:
    """Try again after a growing pause; the timeline says why, once for each new reason."""
    _set_next_turn(attempt)
    with locked_attempt(attempt.pk) as (current, loan):
        if current.status != AttemptStatus.PAID:
            return  # another has recorded it meanwhile
        if loan.error_message != why[:500] and not loan.review_reason:
            note_change(
                loan,
                actor="system",
                reason=why,
                at=timezone.now(),
                details={"disbursement_request_id": attempt.pk},
                error_message=why[:500],
            )


def _set_next_turn(attempt: DisbursementRequest) -> None:
    at = timezone.now() + timedelta(seconds=backoff_seconds(attempt.record_tries))
    DisbursementRequest.objects.filter(pk=attempt.pk, status=AttemptStatus.PAID).update(
        next_record_at=at
    )
