"""Telling Mifos X what M-Pesa paid: never paid again, recorded once, a person where it must be."""

from __future__ import annotations

import pytest

from disbursements.models import AttemptStatus
from loans.models import LoanStatus, ReviewReason
from tests.journeys.conftest import Stage, run

pytestmark = pytest.mark.django_db(transaction=True)

UNCLEAR = [
    "reset_before",
    "reset_after",
    "500_before",
    "500_after",
    "503_after",
    "truncated",
    "html_after",
    "malformed",
]


@pytest.mark.parametrize("outcome", UNCLEAR)
def test_an_unclear_answer_to_the_record_is_looked_up_and_recorded_once(
    stage: Stage, outcome: str
) -> None:
    stage.sandbox.add_fault("disburse", outcome)

    stage.sync_until(stage.is_done)

    books = stage.books()
    assert len(books.transactions) == len(books.debits) == 1


def test_a_record_that_times_out_after_its_effect_is_found(stage: Stage) -> None:
    stage.settings.LOANPOLL_HTTP_READ_TIMEOUT = 0.5
    stage.sandbox.add_fault("disburse", "timeout_after")

    stage.sync_until(stage.is_done)

    assert len(stage.books().transactions) == 1


@pytest.mark.parametrize("outcome", ["425", "409", "locked"])
def test_a_busy_mifos_is_waited_for(stage: Stage, outcome: str) -> None:
    stage.sandbox.add_fault("disburse", outcome, times=2)

    stage.sync(2)
    assert stage.loan().status == LoanStatus.PROCESSING
    stage.sync_until(stage.is_done)

    stage.books()
    assert stage.loan().review_reason == ""


def test_a_close_of_business_lock_is_waited_for(stage: Stage) -> None:
    stage.sandbox.change_loan(stage.tenant, stage.first, locked_by_cob=True)
    stage.sync(3)
    assert stage.attempt().status == AttemptStatus.PAID

    stage.sandbox.change_loan(stage.tenant, stage.first, locked_by_cob=False)
    stage.sync_until(stage.is_done)
    stage.books()


def test_a_refusal_that_would_be_replayed_for_ever_gets_a_new_key(stage: Stage) -> None:
    stage.sandbox.add_fault(
        "disburse",
        "normal",
        truth="refuses",
        code="error.msg.loan.disbursal.cannot.be.a.future.date",
    )

    stage.sync_until(lambda: stage.loan().review_reason)
    assert stage.loan().review_reason == ReviewReason.PAID_NOT_RECORDED
    assert stage.attempt().status == AttemptStatus.PAID
    stage.sync_until(stage.is_done)

    books = stage.books()
    assert stage.loan().review_reason == ""
    assert len(books.debits) == 1


def test_a_permission_that_is_taken_away_pages_a_person_and_pays_nothing_more(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.sync()
    stage.sandbox.change_tenant(
        stage.tenant, permissions=["READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE"]
    )
    stage.sandbox.options(hold_callbacks=False)
    stage.sandbox.release_callbacks()

    stage.sync_until(lambda: stage.loan().review_reason)
    stage.sync(2)
    assert stage.loan().review_reason == ReviewReason.PAID_NOT_RECORDED
    assert len(stage.books().debits) == 1

    stage.sandbox.change_tenant(stage.tenant, permissions=["ALL_FUNCTIONS"])
    stage.sync_until(stage.is_done)
    stage.books()


def test_without_the_permission_to_record_nothing_is_paid(stage: Stage) -> None:
    stage.sandbox.change_tenant(
        stage.tenant, permissions=["READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE"]
    )

    stage.sync(2)

    assert stage.loan().hold_reason == "no_disburse_permission"
    assert stage.books().debits == []


def test_a_checker_who_approves_later_completes_the_record(stage: Stage) -> None:
    stage.sandbox.change_tenant(stage.tenant, maker_checker=True)
    stage.sync_until(lambda: stage.attempt().status == AttemptStatus.PAID)
    stage.sync(3)
    [command] = stage.sandbox.waiting_commands(stage.tenant)
    assert stage.sandbox.count("mifos", "disburse") == 1

    stage.sandbox.decide(stage.tenant, command["id"], "approve")
    stage.sync_until(stage.is_done)

    books = stage.books()
    assert len(books.transactions) == len(books.debits) == 1


def test_a_checker_who_rejects_calls_a_person_and_nothing_is_posted_again(stage: Stage) -> None:
    stage.sandbox.change_tenant(stage.tenant, maker_checker=True)
    stage.sync_until(lambda: stage.sandbox.waiting_commands(stage.tenant))
    [command] = stage.sandbox.waiting_commands(stage.tenant)
    stage.sandbox.decide(stage.tenant, command["id"], "reject")

    stage.sync_until(lambda: stage.loan().review_reason)
    stage.sync(3)

    stage.books()
    assert stage.loan().review_reason == ReviewReason.CHECKER_REJECTED
    assert stage.attempt().status == AttemptStatus.PAID
    assert stage.sandbox.count("mifos", "disburse") == 1


@pytest.mark.parametrize("leave", ["disburse", "undoapproval", "withdraw"])
def test_a_loan_that_leaves_the_waiting_list_before_the_payment_is_cancelled(
    stage: Stage, leave: str
) -> None:
    run("fetch_pending_loans")
    if leave == "withdraw":
        stage.sandbox.withdraw(stage.tenant, stage.first)
    else:
        stage.sandbox.command(stage.tenant, stage.first, leave)

    run("process_pending_loans")  # without a fetch: the re-read alone must see it
    stage.sync()

    assert stage.books().requests == []
    assert stage.loan().status == LoanStatus.CANCELLED


def test_a_loan_that_only_the_poll_sees_leaving_is_cancelled(stage: Stage) -> None:
    stage.sandbox.change_client(
        stage.tenant, stage.sample.payable[0].client_id or 0, mobile_no=None
    )
    stage.sync()
    assert stage.loan().hold_reason == "phone_missing"
    stage.sandbox.command(stage.tenant, stage.first, "undoapproval")

    run("fetch_pending_loans")

    assert stage.loan().status == LoanStatus.CANCELLED


def test_a_disbursal_by_hand_after_our_payment_is_a_possible_double_payment(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.sync()
    stage.sandbox.command(stage.tenant, stage.first, "disburse")
    stage.sandbox.options(hold_callbacks=False)
    stage.sandbox.release_callbacks()

    stage.sync_until(lambda: stage.loan().review_reason == ReviewReason.DOUBLE_PAYMENT)
    stage.sync(2)

    books = stage.books()
    assert stage.attempt().status == AttemptStatus.PAID
    assert books.recorded == set()
    assert len(books.debits) == 1


def test_a_disbursal_by_hand_with_our_receipt_is_ours(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.sync()
    stage.sandbox.options(hold_callbacks=False)
    receipt = stage.sandbox.debits()[0]["receipt"]
    today = stage.sandbox.add_tenant(stage.tenant)["today"]
    stage.sandbox.command(
        stage.tenant,
        stage.first,
        "disburse",
        {
            "actualDisbursementDate": today,
            "dateFormat": "yyyy-MM-dd",
            "locale": "en",
            "paymentTypeId": 7,
            "receiptNumber": receipt,
        },
    )
    stage.sandbox.release_callbacks()

    stage.sync_until(lambda: stage.loan().status == LoanStatus.DISBURSED)

    assert stage.loan().review_reason == ""


def test_a_loan_that_is_undone_after_we_paid_is_never_paid_again_by_itself(stage: Stage) -> None:
    stage.sync_until(stage.is_done)
    stage.sandbox.command(stage.tenant, stage.first, "undodisbursal")

    stage.sync(4)

    books = stage.books()
    assert len(books.debits) == len(books.attempts) == 1
    assert stage.loan().status == LoanStatus.DISBURSED
    assert stage.loan().review_reason == ReviewReason.UNDONE_AFTER_PAYMENT


def test_a_record_that_is_undone_before_it_was_verified_is_not_posted_again(stage: Stage) -> None:
    stage.sandbox.add_fault("disburse", "500_after")
    stage.sync_until(lambda: stage.sandbox.count("mifos", "disburse") == 1)
    stage.sandbox.command(stage.tenant, stage.first, "undodisbursal")

    stage.sync_until(lambda: stage.loan().review_reason)
    stage.sync(2)

    stage.books()
    assert stage.loan().review_reason == ReviewReason.UNDONE_AFTER_PAYMENT
    assert stage.sandbox.count("mifos", "disburse") == 1


def test_the_day_that_m_pesa_paid_is_recorded_unless_mifos_is_behind(stage: Stage) -> None:
    yesterday = stage.sandbox.change_tenant(stage.tenant, business_date=-1)["today"]
    stage.sandbox.change_loan(stage.tenant, stage.first, approved_on=-1, expected_disbursement=0)

    stage.sync_until(stage.is_done)

    assert [row["date"] for row in stage.books().transactions] == [yesterday]


def test_a_principal_that_changed_after_the_payment_is_not_recorded_over(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.sync()
    principal = stage.sandbox.loan(stage.tenant, stage.first)["principal"]
    stage.sandbox.change_loan(stage.tenant, stage.first, principal="1000000")
    stage.sandbox.options(hold_callbacks=False)
    stage.sandbox.release_callbacks()

    stage.sync_until(lambda: stage.loan().review_reason == ReviewReason.MIFOS_CHANGED)
    assert stage.sandbox.count("mifos", "disburse") == 0

    stage.sandbox.change_loan(stage.tenant, stage.first, principal=principal)
    stage.sync_until(stage.is_done)
    stage.books()
    assert stage.loan().review_reason == ""
