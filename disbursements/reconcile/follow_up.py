"""What follows: people are called, recording is due again, a breach stops payouts."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from disbursements.claiming import call_person
from disbursements.contradictions import RECONCILE
from disbursements.evidence import ask_soon, heed_statement
from disbursements.models import (
    MONEY_MOVED,
    AttemptStatus,
    DisbursementRequest,
    ReviewResolution,
)
from disbursements.reconcile.coherence import Breach
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.record import LEASE_SECONDS
from loans.audit import lock_loan, note_change
from loans.models import LoanEvent, LoanStatus, LoanTracking
from loans.review import GRAVITY, raise_review_locked
from partners.pausing import pause_all_for_a_breach

logger = logging.getLogger(__name__)
ACTOR = RECONCILE


def follow_up(differences: Iterable[Difference], *, now: datetime) -> None:
    """Call people to the loans whose books differ, each difference once. Moves no money."""
    of_loan: defaultdict[int, list[Difference]] = defaultdict(list)
    for difference in differences:
        if difference.kind == DifferenceKind.PAID_NOT_RECORDED and difference.attempt_id:
            record_soon(difference.attempt_id, now=now)
        if difference.loan is not None and difference.review is not None:
            of_loan[difference.loan.pk].append(difference)
    for loan_pk, found in of_loan.items():
        with transaction.atomic():
            lock_loan(loan_pk)
            for some in _by_attempt([each for each in found if not _is_over(each)]):
                # As it stands now: what the statement says was kept by readings of its own.
                _call(lock_loan(loan_pk), some, now=now)


def stop_payouts(breaches: Sequence[Breach], *, now: datetime) -> None:
    """Our own book cannot be trusted, so nothing more is paid from it until a person has looked."""
    for breach in breaches:
        logger.critical("loan %s of %s: %s", breach.loan_id, breach.partner, breach.problem)
    # Every lender's staff read it, so it names no lender.
    reason = (
        f"{len(breaches)} breach(es) in our own book (first: {breaches[0].problem}); "
        "manage.py reconcile names the loans"
    )
    pause_all_for_a_breach(by=ACTOR, reason=reason, now=now)


def record_soon(attempt_id: int, *, now: datetime) -> None:
    """Let the next pass record a paid attempt. One that is being recorded now keeps its lease."""
    later_than_a_lease = Q(next_record_at__gt=now + timedelta(seconds=LEASE_SECONDS))
    DisbursementRequest.objects.filter(
        Q(next_record_at=None) | later_than_a_lease, pk=attempt_id, status=AttemptStatus.PAID
    ).update(next_record_at=now)


def _by_attempt(found: Iterable[Difference]) -> list[list[Difference]]:
    """A review belongs to the attempt that raised it: what is settled of one stays open of another.
    The gravest first, each with the gravest of its own in front."""
    parts: defaultdict[int | None, list[Difference]] = defaultdict(list)
    for each in sorted(found, key=_gravity, reverse=True):
        parts[each.attempt_id].append(each)
    return list(parts.values())


def _call(loan: LoanTracking, found: Sequence[Difference], *, now: datetime) -> None:
    """Raise one review for all that is wrong with an attempt, in the words of the gravest."""
    first, reason = found[0], found[0].review
    message = "; ".join(each.said for each in found)
    if reason is None or _was_said(loan, message):
        return  # a person has seen it, and may have settled it already
    if not loan.attempts.exists():
        _call_without_attempt(loan, message, now=now)
        return
    raise_review_locked(
        loan,
        reason,
        message=message,
        now=now,
        actor=ACTOR,
        disbursement_request_id=first.attempt_id,
    )
    for difference in found:
        if difference.kind == DifferenceKind.MISSING_RESULT and difference.attempt_id:
            heed_statement(
                difference.attempt_id, receipt=difference.receipt, reason=difference.said, now=now
            )
            ask_soon(difference.attempt_id, reason=difference.said, now=now)


def _call_without_attempt(loan: LoanTracking, message: str, *, now: datetime) -> None:
    """Nobody could end a review of it: a pending loan is held until staff release it, and of any
    other, which is paid no more, the history and the list of differences tell."""
    if loan.status == LoanStatus.PENDING:
        call_person(loan, message, now=now)
    else:
        note_change(loan, actor=ACTOR, reason=message, at=now)


def _is_over(difference: Difference) -> bool:
    """Has the missing result come since the statement was compared? Or have two people said of a
    failed attempt that it was paid, with this receipt?"""
    if difference.kind == DifferenceKind.FAILED_BUT_PAID:
        return ReviewResolution.objects.filter(
            disbursement_request=difference.attempt_id,
            receipt=difference.receipt,
            confirmed_at__isnull=False,
        ).exists()
    paid = DisbursementRequest.objects.filter(
        pk=difference.attempt_id or 0,
        status__in=MONEY_MOVED,
        transaction_receipt=difference.receipt,
    )
    return difference.kind == DifferenceKind.MISSING_RESULT and paid.exists()


def _gravity(difference: Difference) -> int:
    return GRAVITY.index(difference.review) if difference.review else -1


def _was_said(loan: LoanTracking, message: str) -> bool:
    # As loans.review and claiming.call_person write it.
    said = [f"{begin}{message}"[:500] for begin in ("Needs a person: ", "Held: ", "")]
    return LoanEvent.objects.filter(loan_tracking=loan.pk, reason__in=said).exists()
