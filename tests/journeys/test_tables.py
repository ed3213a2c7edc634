"""The database itself keeps the promises, and the setup guide's two questions work as typed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from disbursements.models import DisbursementRequest, ReviewResolution
from disbursements.tests.making import make_attempt, make_loan
from loans.audit import note_change
from loans.models import LoanTracking
from sandbox.world import small_world
from tests.journeys.conftest import Open, Stage

pytestmark = pytest.mark.django_db(transaction=True)

GUIDE = [
    "SELECT * FROM loan_tracking ORDER BY created_at DESC LIMIT 10;",
    "SELECT * FROM disbursement_requests WHERE origin = 'ui' ORDER BY created_at DESC LIMIT 10;",
]


@pytest.fixture
def paid(open_stage: Open) -> Stage:
    """Two loans: one paid and recorded, one whose first attempt failed."""
    stage = open_stage(small_world(payable=2, kinds=()))
    stage.sandbox.set_wallet(stage.sample.payable[1].msisdn or "", registered=False)
    stage.sync_until(lambda: LoanTracking.objects.filter(status="failed").exists())
    stage.sync_until(lambda: LoanTracking.objects.filter(status="disbursed").exists())
    return stage


@pytest.fixture
def kept(transactional_db: None) -> DisbursementRequest:
    """One attempt that is paid and recorded, and one that failed."""
    loan = make_loan(status="disbursed")
    note_change(loan, actor="me", reason="so", at=timezone.now())
    make_attempt(make_loan(loan.partner, status="failed"), status="failed")
    return make_attempt(loan, status="completed")


def ask(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_guides_queries_work_as_typed(paid: Stage) -> None:
    loans, attempts = (ask(sql) for sql in GUIDE)

    assert {row["status"] for row in loans} == {"disbursed", "failed"}
    assert {row["status"] for row in attempts} == {"completed", "failed"}
    told = {
        *("partner_id", "loan_id", "cycle", "client_id", "client_name", "phone_number"),
        *("product_id", "product_name", "loan_amount", "net_disbursal_amount", "currency"),
        *("hold_reason", "review_reason", "error_message", "disbursement_status"),
        *("mpesa_receipt_number", "approved_on", "expected_disbursement_date"),
        *("next_attempt_at", "created_at", "updated_at"),
    }
    assert told <= set(loans[0])
    told = {
        *("loan_tracking_id", "partner_id", "attempt_no", "origin", "triggered_by", "amount"),
        *("msisdn", "currency", "originator_conversation_id", "conversation_id", "send_count"),
        *("result_code", "result_description", "transaction_receipt", "mifos_external_id"),
        *("created_at", "updated_at"),
    }
    assert told <= set(attempts[0])


def tell(sql: str) -> None:
    """Say this to the database, and let it check even what it puts off to the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
        connection.check_constraints()


def insert_copy(attempt: DisbursementRequest, **changes: Any) -> None:
    """Insert a row with raw SQL, past everything that Django checks."""
    row: dict[Any, Any] = {
        field.column: getattr(attempt, field.attname) for field in attempt._meta.concrete_fields
    }
    row |= {"originator_conversation_id": "raw-1", "mifos_external_id": "raw-1"}
    row |= {"transaction_receipt": "", "status": "failed", "attempt_no": 99, **changes}
    del row["id"]
    columns = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    values = [
        field.get_db_prep_save(row[field.column], connection)
        for field in attempt._meta.concrete_fields
        if field.column in row
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO disbursement_requests ({columns}) VALUES ({marks})", values)


def test_a_raw_row_that_keeps_the_promises_is_taken(kept: DisbursementRequest) -> None:
    insert_copy(kept)

    assert DisbursementRequest.objects.filter(attempt_no=99).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "submitting"},
        {"status": "unknown"},
        {"status": "paid", "transaction_receipt": "SGH0000001"},
        {"attempt_no": 1},
        {"originator_conversation_id": None},
        {"mifos_external_id": None},
        {"transaction_receipt": None},
        {"status": "sent"},
        {"amount": 0},
        {"principal": -1},
        {"msisdn": "0712345678"},
        {"msisdn": "254812345678"},
        {"send_count": 0, "sends_in_doubt": 1},
    ],
)
def test_a_raw_row_that_breaks_a_promise_is_refused(
    kept: DisbursementRequest, changes: dict[str, Any]
) -> None:
    # None stands for what the first attempt has: another row may not have it, too.
    taken = {name: getattr(kept, name) for name, value in changes.items() if value is None}

    with pytest.raises(IntegrityError):
        insert_copy(kept, **{**changes, **taken})


@pytest.mark.parametrize("status", ["paid", "completed"])
def test_paid_without_a_receipt_is_refused(kept: DisbursementRequest, status: str) -> None:
    failed = DisbursementRequest.objects.get(status="failed")

    with pytest.raises(IntegrityError):
        insert_copy(failed, status=status)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE loan_tracking SET status = 'sent'",
        "UPDATE loan_tracking SET mpesa_receipt_number = '' WHERE status = 'disbursed'",
        "UPDATE loan_tracking SET loan_amount = 0",
        "UPDATE loan_tracking SET loan_id = 1, cycle = 1",
        "UPDATE disbursement_requests SET status = 'sent'",
        "UPDATE disbursement_requests SET transaction_receipt = 'SGH1111111'",
        "DELETE FROM partners",
        "DELETE FROM loan_tracking",
    ],
)
def test_a_raw_change_that_breaks_a_promise_is_refused(kept: DisbursementRequest, sql: str) -> None:
    with pytest.raises(IntegrityError):
        tell(sql)


@pytest.mark.parametrize("sql", ["UPDATE loan_events SET actor = 'me'", "DELETE FROM loan_events"])
def test_the_trail_can_only_grow(kept: DisbursementRequest, sql: str) -> None:
    before = ask("SELECT count(*) AS number FROM loan_events")

    with pytest.raises(DatabaseError, match="insert-only"):
        tell(sql)

    assert ask("SELECT count(*) AS number FROM loan_events") == before


def test_two_open_proposals_and_one_person_for_both_are_refused(kept: DisbursementRequest) -> None:
    person = User.objects.create(username="otieno")
    facts: dict[str, Any] = {
        "disbursement_request": kept,
        "outcome": "not-paid",
        "reason": "so",
        "proposed_by": person,
        "proposed_at": timezone.now(),
    }
    ReviewResolution.objects.create(**facts)
    for broken in (
        facts,
        {**facts, "confirmed_by": person, "confirmed_at": timezone.now()},
        {**facts, "withdrawn_at": timezone.now(), "outcome": "paid"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            ReviewResolution.objects.create(**broken)
