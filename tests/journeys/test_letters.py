"""Callbacks lost, late, doubled, early, out of order, wrong and forged (reliability.md 2.3)."""

from __future__ import annotations

import pytest
import requests

from disbursements.models import AttemptStatus
from loans.models import LoanEvent, LoanStatus, ReviewReason
from mpesa.shortcodes import shortcode_of
from tests.journeys.conftest import Stage

pytestmark = pytest.mark.django_db(transaction=True)


def is_stopped(stage: Stage) -> bool:
    return shortcode_of("sandbox", stage.shortcode).breaker_opened_at is not None


def test_a_lost_callback_is_asked_for_and_the_loan_is_paid_once(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "lost")

    stage.sync_until(stage.is_done)

    assert stage.books().paid == stage.sample.expected_debits
    assert stage.sandbox.count("mpesa", "b2c") == 1


@pytest.mark.parametrize(
    "outcome", ["doubled", "before_answer", "timeout_then_result", "repeated_keys"]
)
def test_a_strange_but_true_delivery_pays_and_records_once(stage: Stage, outcome: str) -> None:
    stage.sandbox.add_fault("callback", outcome, seconds=0.05)

    stage.sync_until(stage.is_done)

    stage.books()
    assert stage.loan().review_reason == ""
    assert not is_stopped(stage)


def test_a_late_callback_after_the_status_query_changes_nothing(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "late")
    stage.sync_until(stage.is_done)
    before = len(stage.books().events)

    stage.sandbox.release_callbacks()

    assert len(stage.books().events) == before
    assert stage.loan().review_reason == ""


def test_only_a_time_out_notice_leaves_the_fate_to_the_status_query(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "timeout_only")

    stage.sync_until(stage.is_done)

    stage.books()


def test_letters_out_of_order_settle_every_loan_once(stage: Stage) -> None:
    loans = [{"id": 7000 + n, "client_id": c} for n, c in enumerate(_more_clients(stage, 4))]
    stage.sandbox.add_loans(stage.tenant, loans)
    stage.sandbox.options(hold_callbacks=True, query_delay=0.01)
    stage.sync()
    stage.sandbox.options(hold_callbacks=False)

    stage.sandbox.release_callbacks(order="reversed")
    stage.settle()
    stage.sync(2)

    books = stage.books()
    assert books.statuses() == {"disbursed": 5}
    assert len(books.debits) == 5


def _more_clients(stage: Stage, count: int) -> list[int]:
    rows = [{"name": f"Client {n}", "mobile_no": f"07220000{n:02}"} for n in range(count)]
    return list(stage.sandbox.add_clients(stage.tenant, rows))


def test_success_then_failure_stays_paid_and_calls_a_person(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "success_then_failure", code="2040", seconds=0.5)

    stage.sync_until(lambda: stage.attempt().status == AttemptStatus.COMPLETED)

    stage.books()
    assert stage.loan().review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(stage)


def test_failure_then_success_is_neither_until_two_people_look(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "failure_then_success", code="2040", seconds=0.5)

    stage.sync(4)

    stage.books()
    assert stage.attempt().status == AttemptStatus.UNKNOWN
    assert stage.loan().review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(stage)
    assert len(stage.books().debits) == 1


def test_a_failure_that_is_not_true_opens_nothing(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "says_failure", code="1")

    stage.sync(4)

    books = stage.books()
    assert len(books.attempts) == len(books.debits) == 1
    assert stage.loan().review_reason == ReviewReason.CONTRADICTION


def test_a_contradiction_stays_open_even_when_m_pesa_forgets_the_payment(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "says_failure", code="1")
    stage.sync(3)
    ocid = stage.attempt().originator_conversation_id

    stage.sandbox.change_payment(ocid, indexed=False)
    stage.sync(3)
    stage.sandbox.change_payment(ocid, indexed=True, status="Declined")
    stage.sync(3)

    stage.books()
    assert stage.attempt().status == AttemptStatus.UNKNOWN
    assert stage.loan().review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("outcome", ["wrong_amount", "wrong_phone", "other_id"])
def test_a_success_of_something_else_is_never_silently_paid(stage: Stage, outcome: str) -> None:
    stage.sandbox.add_fault("callback", outcome)
    stage.ask_nothing_yet()

    stage.sync()
    assert stage.attempt().status == AttemptStatus.UNKNOWN
    stage.ask_now()
    stage.sync_until(stage.is_done)

    stage.books()
    assert stage.loan().review_reason == ReviewReason.RESULT_MISMATCH


@pytest.mark.parametrize(
    "outcome",
    ["no_receipt", "no_parameters", "malformed", "truncated", "not_json", "wrong_type", "huge"],
)
def test_a_letter_that_proves_nothing_is_a_reason_to_ask(stage: Stage, outcome: str) -> None:
    stage.sandbox.add_fault("callback", outcome)
    stage.ask_nothing_yet()

    stage.sync()
    stage.ask_now()
    stage.sync_until(stage.is_done)

    stage.books()
    assert "status query" in LoanEvent.objects.get(to_status="paid").reason
    assert stage.loan().review_reason == ""


@pytest.mark.parametrize("code", ["00", "0.0", 0.0, False, None])
def test_only_zero_is_success(stage: Stage, code: object) -> None:
    stage.sandbox.add_fault("callback", "result_code", params={"value": code})
    stage.sandbox.add_fault("status_callback", "lost", times=None)

    stage.sync()

    assert stage.attempt().status not in {AttemptStatus.PAID, AttemptStatus.COMPLETED}
    stage.books()


def test_a_forged_letter_is_turned_away(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.ask_nothing_yet()
    stage.sync()
    [letter] = stage.sandbox.callbacks(bodies=True)["letters"]
    address, _, token = letter["url"].rpartition("/")

    for wrong in (f"{address}/{token[:-1]}x", letter["url"].replace("payout", "status")):
        answer = requests.post(wrong, data=letter["body"], timeout=5)
        assert answer.status_code == 404

    assert stage.attempt().status == AttemptStatus.ACCEPTED
    assert stage.loan().status == LoanStatus.PROCESSING


def test_a_letter_from_a_strange_address_only_makes_us_ask(stage: Stage) -> None:
    stage.sandbox.options(hold_callbacks=True)
    stage.ask_nothing_yet()
    stage.sync()
    [letter] = stage.sandbox.callbacks(bodies=True)["letters"]
    stage.settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False
    assert requests.post(letter["url"], data=letter["body"], timeout=5).status_code == 200
    stage.settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = True
    assert stage.attempt().status == AttemptStatus.ACCEPTED

    stage.sandbox.options(hold_callbacks=False)
    stage.ask_now()
    stage.sync_until(stage.is_done)

    stage.books()


def test_a_status_result_at_the_wrong_address_pays_nothing(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "lost")
    stage.sandbox.add_fault("status_callback", "to_url")

    stage.sync()
    assert stage.attempt().status == AttemptStatus.UNKNOWN

    stage.sync_until(stage.is_done)
    stage.books()


def test_a_success_after_a_proven_failure_stops_the_shortcode(stage: Stage) -> None:
    stage.sandbox.set_wallet(stage.sample.payable[0].msisdn or "", registered=False)
    stage.sync_until(lambda: stage.loan().status == LoanStatus.FAILED)

    stage.sandbox.add_fault("callback", "says_success")
    letters = stage.sandbox.callbacks(bodies=True)["letters"]
    result = next(each for each in letters if each["kind"] == "payment_result")
    body = result["body"].replace('"ResultCode":2040', '"ResultCode":0')
    body = body.replace('"ResultCode":"2040"', '"ResultCode":"0"')
    assert requests.post(result["url"], data=body, timeout=5).status_code == 200

    stage.books()
    assert stage.attempt().status == AttemptStatus.FAILED
    assert stage.loan().review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(stage)
