"""The one writer of an attempt's status: only moves that exist, each with its event, once."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from disbursements.models import ALLOWED_MOVES, AttemptStatus, DisbursementRequest
from disbursements.moves import (
    IllegalMove,
    Move,
    StaleAttempt,
    locked_attempt,
    move_attempt,
    note_on_attempt,
)
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

NOW = timezone.now()
EVERY_MOVE = [(one, other) for one in AttemptStatus for other in AttemptStatus]


def move_to(status: AttemptStatus, **changes: object) -> Move:
    facts: dict[str, object] = {"to_status": status, "actor": "me", "reason": "so", "at": NOW}
    return Move(**{**facts, **changes})  # type: ignore[arg-type]  # built from parts


@pytest.mark.parametrize(("before", "after"), EVERY_MOVE)
def test_a_move_happens_with_its_event_or_not_at_all(before, after):
    attempt = make_attempt(make_loan(), status=before)
    columns = {"transaction_receipt": attempt.transaction_receipt or "SGH0000001"}

    with locked_attempt(attempt.pk) as (locked, loan):
        if after in ALLOWED_MOVES[before]:
            move_attempt(locked, loan, move_to(after, columns=columns))
        else:
            with pytest.raises(IllegalMove):
                move_attempt(locked, loan, move_to(after, columns=columns))

    attempt.refresh_from_db()
    moved = after in ALLOWED_MOVES[before]
    assert attempt.status == (after if moved else before)
    assert LoanEvent.objects.count() == int(moved)


def test_nothing_leaves_completed_or_failed_and_paid_only_goes_on():
    assert ALLOWED_MOVES[AttemptStatus.COMPLETED] == frozenset()
    assert ALLOWED_MOVES[AttemptStatus.FAILED] == frozenset()
    assert ALLOWED_MOVES[AttemptStatus.PAID] == {AttemptStatus.COMPLETED}


def test_the_loan_moves_with_its_attempt_under_an_event_of_its_own():
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING))

    with locked_attempt(attempt.pk) as (locked, loan):
        move_attempt(locked, loan, move_to(AttemptStatus.FAILED, loan_status=LoanStatus.FAILED))

    loan = LoanTracking.objects.get()
    assert (loan.status, loan.disbursement_status) == (LoanStatus.FAILED, "failed")
    assert list(LoanEvent.objects.values_list("from_status", "to_status")) == [
        ("accepted", "failed"),
        ("processing_disbursement", "failed"),
    ]


def test_a_loan_that_is_there_already_needs_no_event():
    attempt = make_attempt(make_loan(status=LoanStatus.FAILED))

    with locked_attempt(attempt.pk) as (locked, loan):
        move_attempt(locked, loan, move_to(AttemptStatus.FAILED, loan_status=LoanStatus.FAILED))

    assert LoanEvent.objects.count() == 1


def test_who_comes_second_is_told_and_leaves_no_trace():
    attempt = make_attempt(make_loan())
    DisbursementRequest.objects.update(status=AttemptStatus.UNKNOWN)

    with pytest.raises(StaleAttempt), transaction.atomic():
        move_attempt(attempt, attempt.loan_tracking, move_to(AttemptStatus.UNKNOWN))
    with pytest.raises(StaleAttempt):
        note_on_attempt(attempt, send_count=9)

    assert not LoanEvent.objects.exists()
    assert DisbursementRequest.objects.get().send_count == 1
