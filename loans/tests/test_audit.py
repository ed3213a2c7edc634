"""The trail: every change leaves one event, chained to the one before, or no trace at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from disbursements.tests.making import make_loan
from loans.audit import (
    EventDraft,
    StaleLoan,
    chain,
    digest_of,
    lock_loan,
    move_loan,
    note_change,
    note_on_loan,
)
from loans.models import LoanEvent, LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def draft(**changes: object) -> EventDraft:
    facts: dict[str, object] = {
        "from_status": "a",
        "to_status": "b",
        "actor": "me",
        "reason": "so",
        "at": AT,
    }
    return EventDraft(**{**facts, **changes})  # type: ignore[arg-type]  # built from parts


def test_events_are_chained_and_the_head_is_on_the_loan():
    loan = make_loan()

    note_on_loan(loan, drafts=[draft(), draft(reason="then")])
    note_change(loan, actor="me", reason="more", at=AT)

    first, second, third = LoanEvent.objects.all()
    assert (first.previous_digest, second.previous_digest) == ("", first.digest)
    assert third.previous_digest == second.digest
    assert LoanTracking.objects.get().audit_head == third.digest


def test_a_move_that_comes_second_is_told_and_leaves_no_trace():
    loan = make_loan()
    LoanTracking.objects.update(status=LoanStatus.CANCELLED)

    with pytest.raises(StaleLoan), transaction.atomic():
        move_loan(loan, LoanStatus.FAILED, draft=draft())

    assert not LoanEvent.objects.exists()
    assert LoanTracking.objects.get().audit_head == ""


def test_a_move_writes_its_columns_on_the_row_and_on_the_object():
    loan = make_loan()

    move_loan(loan, LoanStatus.FAILED, draft=draft(), error_message="why")

    assert (loan.status, loan.error_message, loan.updated_at) == (LoanStatus.FAILED, "why", AT)
    assert lock_loan(loan.pk).error_message == "why"


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "other"},
        {"actor": "you"},
        {"from_status": "x"},
        {"to_status": "x"},
        {"at": AT + timedelta(microseconds=1)},
        {"details": {"amount": "1"}},
        {"disbursement_request_id": 1},
    ],
)
def test_every_part_of_an_event_is_under_its_digest(change):
    loan = make_loan()

    assert digest_of(loan, draft(), "") != digest_of(loan, draft(**change), "")


def test_the_digest_does_not_depend_on_the_zone_in_which_a_time_is_held():
    loan = make_loan()
    elsewhere = AT.astimezone(ZoneInfo("Africa/Nairobi"))

    assert digest_of(loan, draft(), "") == digest_of(loan, draft(at=elsewhere), "")


def test_the_loan_and_the_past_are_under_the_digest_too():
    loan, other = make_loan(), make_loan()

    assert digest_of(loan, draft(), "") != digest_of(other, draft(), "")
    assert digest_of(loan, draft(), "") != digest_of(loan, draft(), "x")


def test_a_long_reason_is_cut_before_it_is_sealed():
    loan = make_loan()

    [event] = chain(loan, [draft(reason="x" * 600)])

    assert len(event.reason) == 500
    assert event.digest == digest_of(loan, draft(reason="x" * 500), "")
