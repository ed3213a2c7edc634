"""After a backup was restored: it does not know what was sent, paid and decided since."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q

from disbursements.models import (
    OPEN_STATES,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from disbursements.moves import locked_attempt, note_on_attempt
from disbursements.resolve import withdraw
from disbursements.sending import doubt
from loans.audit import lock_loan, note_change
from loans.models import HoldReason, LoanStatus, LoanTracking
from partners.models import Partner

JUST_NOW = timedelta(hours=1)
WHY = "Restored from a backup: this send may have left since; asking M-Pesa"
WHY_HELD = (
    "Restored from a backup: release it once you know from the M-PESA statement that it was not "
    "paid since"
)


def doubt_unsent(*, actor: str, now: datetime) -> int:
    """Move every attempt that waits to be sent to `unknown`; return how many.

    Only such an attempt could be withdrawn for a new id without M-Pesa being asked.
    """
    waiting = DisbursementRequest.objects.filter(status=AttemptStatus.SUBMITTING)
    return sum(_doubt(pk, actor, now=now) for pk in list(waiting.values_list("pk", flat=True)))


def hold_unpaid(*, actor: str, now: datetime) -> int:
    """Hold every loan that may be paid by what the backup says; return how many.

    A lost attempt gets its old id again, and M-Pesa refuses to pay that twice if it has seen it. A
    lost attempt that never left it has not seen: the next one paid the loan. And a hold, or a
    declined payout, may be lost, too.
    """
    is_open = Q(status=LoanStatus.PROCESSING, attempts__status__in=OPEN_STATES)
    unpaid = LoanTracking.objects.filter(
        Q(status__in=[LoanStatus.PENDING, LoanStatus.FAILED]) | is_open
    )
    return sum(_hold(pk, actor, now=now) for pk in list(unpaid.values_list("pk", flat=True)))


def not_read_since(now: datetime) -> list[str]:
    """Return the lenders whose waiting list was not read just now: what was approved there since
    the backup is not known, and so not held. The last reading may be the backup's own, so that
    no trouble may have come after it."""
    polled = Partner.objects.filter(is_active=True, is_mifos_configured=True)
    is_well = Q(last_error_at=None) | Q(last_error_at__lte=F("last_poll_succeeded_at"))
    read = polled.filter(is_well, last_poll_succeeded_at__gte=now - JUST_NOW)
    return list(polled.exclude(pk__in=read).order_by("slug").values_list("slug", flat=True))


def withdraw_old_proposals(*, by: User, now: datetime) -> int:
    """End every open "not paid": M-Pesa may have spoken since, and its words are lost."""
    proposals = ReviewResolution.objects.filter(
        outcome=ResolutionOutcome.NOT_PAID, confirmed_at=None, withdrawn_at=None
    )
    pks = list(proposals.values_list("pk", flat=True))
    for pk in pks:
        withdraw(pk, by=by, now=now)
    return len(pks)


def _doubt(pk: int, actor: str, *, now: datetime) -> bool:
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status != AttemptStatus.SUBMITTING:
            return False
        note_on_attempt(attempt, sends_in_doubt=max(attempt.sends_in_doubt, 1))
        doubt(attempt, loan, reason=WHY, details={"by": actor}, ask_at=now, now=now)
        return True


def _hold(pk: int, actor: str, *, now: datetime) -> bool:
    with transaction.atomic():
        loan = lock_loan(pk)
        if loan.status == LoanStatus.DISBURSED or WHY_HELD in loan.staff_hold:
            return False
        hold = HoldReason.HELD_BY_STAFF
        shown = {"hold_reason": hold, "error_message": WHY_HELD, "next_attempt_at": None}
        note_change(
            loan,
            actor=actor,
            reason=f"Held: {WHY_HELD}",
            at=now,
            details={"hold": hold.value},
            # Held for something else already: whoever releases it must know of both.
            staff_hold="; ".join(each for each in (WHY_HELD, loan.staff_hold) if each)[:300],
            **(shown if loan.status == LoanStatus.PENDING else {}),
        )
        return True
