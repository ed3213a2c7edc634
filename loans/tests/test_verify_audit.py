"""The audit trail proves itself: whatever a hand changes in the database shows, and is named."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from disbursements.replay import attempt_faults
from disbursements.tests.books import completed_attempt, found_loan
from disbursements.tests.making import make_partner, make_product
from loans import verify
from loans.audit import digest_of, lock_loan, note_change
from loans.models import LoanEvent, LoanStatus, LoanTracking
from loans.verify import verify_loans

# claim() and complete() promise that they are the outermost transaction.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def partner():
    partner = make_partner()
    make_product(partner)
    return partner


def paid_loan(partner):
    """A loan that went the whole way, with every event that the product writes."""
    return completed_attempt(partner).loan_tracking


def by_hand(sql, *values):
    """Change the audit trail as somebody who owns the database could: without its triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE loan_events DISABLE TRIGGER USER")
            cursor.execute(sql, values)
            cursor.execute("ALTER TABLE loan_events ENABLE TRIGGER USER")
            return
        cursor.execute(
            "SELECT name, sql FROM sqlite_master "
            "WHERE type = 'trigger' AND tbl_name = 'loan_events'"
        )
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(sql, values)
        for _, trigger in triggers:
            cursor.execute(trigger)


def check():
    return verify_loans(LoanTracking.objects.all(), attempts=attempt_faults)


def said():
    return {(fault.loan_tracking_id, fault.problem) for fault in check().faults}


def events_of(loan):
    return list(LoanEvent.objects.filter(loan_tracking=loan).order_by("id"))


def test_what_the_product_wrote_is_intact(partner):
    paid_loan(partner)
    found_loan(partner)

    result = check()

    assert (result.is_intact, result.loans, result.events) == (True, 2, 8)


def test_the_database_itself_refuses_a_change(partner):
    event = events_of(paid_loan(partner))[0]

    with pytest.raises(Exception, match="insert-only"), transaction.atomic():
        LoanEvent.objects.filter(pk=event.pk).update(reason="another")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reason", "Nobody did this"),
        ("actor", "somebody else"),
        ("details", '{"principal": "99.00"}'),
        ("at", "2026-01-01 00:00:00+00:00"),
    ],
)
def test_a_changed_event_is_named(partner, column, value):
    loan, other = paid_loan(partner), found_loan(partner)
    event = events_of(loan)[0]

    by_hand(f'UPDATE loan_events SET "{column}" = %s WHERE id = %s', value, event.pk)

    faults = check().faults
    assert {fault.loan_tracking_id for fault in faults} == {loan.pk}
    assert (event.pk, "this event was changed after it was written") in [
        (fault.event_id, fault.problem) for fault in faults
    ]
    assert other.pk not in {fault.loan_tracking_id for fault in faults}


def test_a_changed_event_with_a_fitting_digest_breaks_the_next_one(partner):
    loan = paid_loan(partner)
    first, second = events_of(loan)[:2]
    first.reason = "Nobody did this"
    digest = digest_of(loan, verify._draft_of(first), "")

    by_hand(
        "UPDATE loan_events SET reason = %s, digest = %s WHERE id = %s",
        first.reason,
        digest,
        first.pk,
    )

    assert [(fault.event_id, fault.problem) for fault in check().faults] == [
        (second.pk, "an event before this one is missing, or was added or changed")
    ]


def test_a_deleted_event_leaves_a_gap(partner):
    loan = paid_loan(partner)
    events = events_of(loan)

    by_hand("DELETE FROM loan_events WHERE id = %s", events[1].pk)

    assert (events[2].pk, "an event before this one is missing, or was added or changed") in [
        (fault.event_id, fault.problem) for fault in check().faults
    ]


def test_a_deleted_last_event_shows_against_the_head(partner):
    loan = paid_loan(partner)

    by_hand("DELETE FROM loan_events WHERE id = %s", events_of(loan)[-1].pk)

    assert (loan.pk, "its last event is missing, or its row was changed by hand") in said()


def test_a_deleted_trail_shows(partner):
    loan = found_loan(partner)

    by_hand("DELETE FROM loan_events WHERE loan_tracking_id = %s", loan.pk)

    assert (loan.pk, "has no events at all") in said()


def test_a_loan_whose_status_was_set_by_hand_is_named(partner):
    loan = paid_loan(partner)

    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.PENDING)

    assert said() == {
        (loan.pk, "the events end in 'disbursed' and the row says 'pending_disbursement'")
    }


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "failed"}, "the events end in 'completed' and the row says 'failed'"),
        ({"amount": Decimal(1)}, "its amount was 12500.00 when it was promised and is 1.00 now"),
        ({"transaction_receipt": "SGH0000000"}, "M-Pesa proved receipt SGH"),
        ({"originator_conversation_id": "other"}, "its id at M-Pesa is not the one"),
    ],
)
def test_an_attempt_that_was_changed_by_hand_is_named(partner, change, problem):
    loan = paid_loan(partner)

    loan.attempts.update(**change)

    [fault] = check().faults
    assert fault.disbursement_request_id == loan.attempts.get().pk
    assert problem in fault.problem


def test_a_deleted_attempt_is_named(partner):
    loan = paid_loan(partner)

    loan.attempts.get().delete()

    [fault] = check().faults
    assert fault.problem.endswith("it has events and no row: it was deleted")


def test_a_loan_that_moves_while_it_is_read_is_no_fault(partner, monkeypatch):
    loan = found_loan(partner)
    read = verify._read

    def and_then_the_site_moves(loans):
        monkeypatch.setattr(verify, "_read", read)
        with transaction.atomic():
            note_change(lock_loan(loan.pk), actor="system", reason="x", at=timezone.now())
        return read(loans)

    monkeypatch.setattr(verify, "_read", and_then_the_site_moves)

    assert check().is_intact


def test_more_loans_than_a_chunk_are_all_read(partner, monkeypatch):
    monkeypatch.setattr(verify, "CHUNK", 2)
    loans = [found_loan(partner) for _ in range(5)]
    by_hand("DELETE FROM loan_events WHERE loan_tracking_id = %s", loans[4].pk)

    result = check()

    assert result.loans == 5
    assert {fault.loan_tracking_id for fault in result.faults} == {loans[4].pk}


def test_the_digest_of_all_heads_changes_with_any_of_them(partner):
    loan = found_loan(partner)
    before = check().heads

    with transaction.atomic():
        note_change(lock_loan(loan.pk), actor="system", reason="x", at=timezone.now())

    assert check().heads != before


def test_the_command_says_intact_and_exits_well(partner):
    paid_loan(partner)
    out = io.StringIO()

    call_command("verify_audit", stdout=out)

    assert out.getvalue().startswith("Intact: 1 loans, ")


def test_the_command_names_the_broken_loan_and_event_and_exits_with_1(partner):
    loan = paid_loan(partner)
    event = events_of(loan)[2]
    by_hand("UPDATE loan_events SET actor = 'x' WHERE id = %s", event.pk)
    out = io.StringIO()

    with pytest.raises(CommandError) as caught:
        call_command("verify_audit", stdout=out)

    assert caught.value.returncode == 1
    assert (
        f"loan {loan.loan_id} of {partner.slug} (id {loan.pk}), event {event.pk}: this event"
        in (out.getvalue())
    )


def test_one_loan_can_be_checked_by_itself_as_json(partner):
    broken, whole = paid_loan(partner), found_loan(partner)
    by_hand("DELETE FROM loan_events WHERE loan_tracking_id = %s", broken.pk)
    out = io.StringIO()

    call_command("verify_audit", "--loan", str(whole.pk), "--json", stdout=out)

    document = json.loads(out.getvalue())
    assert (document["success"], document["loans"], document["faults"]) == (True, 1, [])


def test_a_loan_that_does_not_exist_is_a_wrong_order():
    with pytest.raises(CommandError) as caught:
        call_command("verify_audit", "--loan", "4711")

    assert caught.value.returncode == 2
