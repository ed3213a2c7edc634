"""Whom to call while what is paid is not in Mifos X yet, and when to look again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import locked_attempt
from disbursements.receipts import NOT_ITS_OWN
from disbursements.sending import backoff_seconds
from loans.audit import note_change
from loans.models import LoanEvent, ReviewReason
from loans.review import CALLED, SETTLED, raise_review_locked
from partners.models import Partner

CHECKER_PATIENCE = timedelta(hours=24)
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


def call_to_unrecorded(partner: Partner, *, now: datetime) -> None:
    """Put what is paid for a day, and not recorded, before a person: a lender who was switched off
    is polled no more, and nothing else tells that its Mifos X is closed to us."""
    late = DisbursementRequest.objects.filter(
        partner=partner,
        status=AttemptStatus.PAID,
        paid_at__lt=now - CHECKER_PATIENCE,
        loan_tracking__review_reason="",
    ).exclude(transaction_receipt__startswith=NOT_ITS_OWN)
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
    is_late = now - waits_since(attempt) > CHECKER_PATIENCE
    return is_late and not _is_settled_since(called, mine)


def waits_since(attempt: DisbursementRequest) -> datetime:
    """Since it was paid, or a person had it told by a new command: that one has a day, too."""
    told = attempt.loan_tracking.events.filter(details__has_key="record_key_no").order_by("-id")
    return told.values_list("at", flat=True).first() or attempt.paid_at or timezone.now()


def call(
    attempt: DisbursementRequest,
    message: str,
    reason: ReviewReason = ReviewReason.PAID_NOT_RECORDED,
) -> None:
    """Call a person to what ends by itself by no means, until two of them have settled it."""
    if is_settled(attempt, message):
        later(attempt, message)
    else:
        alarm(attempt, reason, message)


def alarm(attempt: DisbursementRequest, reason: ReviewReason, message: str) -> None:
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


def later(attempt: DisbursementRequest, why: str) -> None:
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


def is_settled(attempt: DisbursementRequest, message: str) -> bool:
    """Were people told this of the attempt, and have two of them settled it since?"""
    mine = _events_of(attempt)
    # A line that calls nobody may say the same.
    called = mine.filter(reason__in=[message, f"{CALLED}{message}"], details__has_key="review")
    return _is_settled_since(called, mine)


def _is_settled_since(called: QuerySet[LoanEvent], mine: QuerySet[LoanEvent]) -> bool:
    last = called.order_by("-id").values_list("id", flat=True).first()
    return last is not None and mine.filter(details__has_key=SETTLED, id__gt=last).exists()


def _events_of(attempt: DisbursementRequest) -> QuerySet[LoanEvent]:
    return LoanEvent.objects.filter(
        loan_tracking=attempt.loan_tracking_id, details__disbursement_request_id=attempt.pk
    )
