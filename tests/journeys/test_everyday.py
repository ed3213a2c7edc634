"""The everyday: many loans, all that can be paid is paid once, the rest waits with its reason."""

from __future__ import annotations

import pytest

from loans.models import LoanTracking
from sandbox.world import generate, small_world
from tests.journeys.conftest import Open, Stage

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_hundred_loans_of_two_partners_are_paid_once_and_recorded(open_stage: Open) -> None:
    stage = open_stage(generate(tenants=2, loans=200, seed=1), mifos_concurrency=8)

    passes = stage.sync_until(stage.is_done, passes=3)

    books = stage.books()
    assert passes <= 2
    assert books.paid == stage.sample.expected_debits
    assert books.recorded == set(stage.sample.expected_debits)
    before = (books.debits, books.transactions, len(books.events))
    stage.sync()
    books = stage.books()
    assert (books.debits, books.transactions, len(books.events)) == before


def test_each_loan_that_cannot_be_paid_waits_with_its_own_reason(open_stage: Open) -> None:
    stage = open_stage(generate(tenants=1, loans=40, seed=3, unpayable_share=0.9))

    stage.sync(2)

    books = stage.books()
    held = {row["loan_id"]: row["hold_reason"] for row in books.loans if row["hold_reason"]}
    expected = {
        loan.loan_id: loan.why
        for loan in stage.sample.loans
        if loan.why and loan.why != "not_approved"
    }
    assert held == expected
    assert {loan for _, loan in books.paid} == {loan.loan_id for loan in stage.sample.payable}
    tracked = set(LoanTracking.objects.values_list("loan_id", flat=True))
    assert not tracked & {loan.loan_id for loan in stage.sample.loans if loan.why == "not_approved"}


@pytest.mark.parametrize("era", ["1.8", "1.10", "2026"])
def test_every_era_of_mifos_is_paid_and_recorded(open_stage: Open, era: str) -> None:
    sample = small_world(payable=3, kinds=("group", "active", "pending"))
    sample.document["tenants"][0]["era"] = era
    stage = open_stage(sample)

    stage.sync_until(stage.is_done)

    books = stage.books()
    assert books.paid == sample.expected_debits
    assert books.recorded == set(sample.expected_debits)
    assert books.statuses() == {"disbursed": 3, "pending_disbursement": 1}


def test_fees_are_taken_from_the_payout_and_not_from_the_principal(stage: Stage) -> None:
    stage.sandbox.change_loan(stage.tenant, stage.first, principal="20000", charges="250")

    stage.sync_until(stage.is_done)

    books = stage.books()
    assert [debit["amount"] for debit in books.debits] == ["19750.00"]
    assert [row["amount"] for row in books.transactions] == ["20000.00"]
