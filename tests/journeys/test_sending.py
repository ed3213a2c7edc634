"""What can go wrong between asking M-Pesa to pay and its answer (reliability.md 2.2)."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason
from mpesa.shortcodes import reset_breaker, shortcode_of
from sandbox.world import small_world
from tests.journeys.conftest import Open, Stage, run

pytestmark = pytest.mark.django_db(transaction=True)

AFTER = [
    "reset_after",
    "500_after",
    "503_after",
    "html_after",
    "truncated",
    "malformed",
    "no_id",
    "other_id",
    "duplicate",
]
BEFORE = [
    "reset_before",
    "500_before",
    "503_before",
    "html_before",
    "not_duplicate",
    "maintenance",
    "redirect",
    "408",
]


@pytest.mark.parametrize("outcome", AFTER)
def test_an_unclear_answer_to_a_payment_that_was_made_pays_it_once(
    stage: Stage, outcome: str
) -> None:
    stage.sandbox.add_fault("b2c", outcome)

    stage.sync_until(stage.is_done)

    stage.books()
    assert stage.sandbox.count("mpesa", "b2c") == 1


@pytest.mark.parametrize("outcome", BEFORE)
def test_an_unclear_answer_to_a_payment_that_was_not_made_sends_the_same_id_once_more(
    stage: Stage, outcome: str
) -> None:
    stage.sandbox.add_fault("b2c", outcome)

    stage.sync_until(stage.is_done, passes=12)

    books = stage.books()
    assert len(books.requests) == 2
    assert len(books.attempts) == len(books.debits) == 1


@pytest.mark.parametrize("outcome", ["timeout_before", "timeout_after", "slow_headers"])
def test_a_silent_m_pesa_is_asked_and_never_guessed(stage: Stage, outcome: str) -> None:
    stage.settings.LOANPOLL_HTTP_READ_TIMEOUT = 0.5
    stage.sandbox.add_fault("b2c", outcome)

    stage.sync_until(stage.is_done, passes=12)

    books = stage.books()
    assert len(books.attempts) == len(books.debits) == 1


def test_an_effect_that_lands_after_two_not_founds_and_a_second_send_is_one_payment(
    stage: Stage,
) -> None:
    stage.sandbox.add_fault("b2c", "reset_late")  # it is on its way for a long time
    stage.sync_until(lambda: stage.sandbox.count("mpesa", "b2c") == 2, passes=12)

    stage.sandbox.release_effects()
    stage.sync_until(stage.is_done)

    books = stage.books()
    assert len(books.debits) == 1
    assert stage.loan().review_reason == ""


def test_a_payment_accepted_and_never_heard_of_again_waits_for_people(stage: Stage) -> None:
    stage.settings.LOANPOLL_UNKNOWN_REVIEW_AFTER = 0.1
    stage.sandbox.add_fault("b2c", "normal", truth="never_lands")

    stage.sync_until(lambda: stage.loan().review_reason, passes=12)
    stage.sync(3)

    books = stage.books()
    assert stage.attempt().status == AttemptStatus.ACCEPTED
    assert stage.loan().review_reason == ReviewReason.OUTCOME_UNKNOWN
    assert len(books.requests) == 1
    assert books.debits == []


def test_a_partner_that_sends_nothing_twice_waits_for_people(open_stage: Open) -> None:
    stage = open_stage(resend_unknown=False)
    stage.sandbox.add_fault("b2c", "reset_before")

    stage.sync(6)
    time.sleep(0.3)
    stage.sync(4)

    books = stage.books()
    assert len(books.requests) == 1
    assert stage.attempt().last_not_found_at is not None
    assert stage.attempt().status == AttemptStatus.UNKNOWN


def test_a_refused_request_fails_with_proof_and_waits_for_a_person(stage: Stage) -> None:
    stage.sandbox.add_fault("b2c", "400")

    stage.sync(3)

    books = stage.books()
    assert len(books.requests) == 1
    assert (stage.attempt().status, stage.loan().status) == ("failed", LoanStatus.FAILED)
    assert "400.002.02" in stage.loan().error_message


@pytest.mark.parametrize("outcome", ["403", "no_product"])
def test_a_shortcode_that_may_not_pay_is_stopped_after_one_send_until_a_person_acts(
    open_stage: Open, outcome: str
) -> None:
    stage = open_stage(small_world(payable=6, kinds=()), mifos_concurrency=1)
    stage.sandbox.add_fault("b2c", outcome, times=None)

    first = stage.sync()
    stage.sync(2)

    assert not first.success
    assert stage.sandbox.count("mpesa", "b2c") <= 2
    row = shortcode_of("sandbox", stage.shortcode)
    assert row.breaker_opened_at is not None
    held = LoanTracking.objects.filter(hold_reason=HoldReason.BREAKER_OPEN).count()
    assert held == 5

    stage.sandbox.clear_faults()
    reset_breaker("sandbox", stage.shortcode)
    stage.sync_until(stage.is_done)
    stage.books()


@pytest.mark.parametrize("spelling", ["token_400", "token_401", "token_401_short", "token_404"])
def test_a_token_that_another_client_killed_is_renewed_and_the_same_id_sent(
    stage: Stage, spelling: str
) -> None:
    stage.sandbox.add_fault("b2c", spelling)

    stage.sync_until(stage.is_done)

    books = stage.books()
    assert len(books.debits) == 1
    assert len(books.requests) == 2


def test_killed_tokens_do_no_harm(open_stage: Open) -> None:
    stage = open_stage(small_world(payable=6, kinds=()))
    stage.sync(quiet=False)
    stage.sandbox.kill_tokens()

    stage.sync_until(stage.is_done)

    assert stage.books().paid == stage.sample.expected_debits


@pytest.mark.parametrize("outcome", ["429", "spike_arrest", "quota"])
def test_a_throttled_payment_is_sent_again_later_under_its_id(stage: Stage, outcome: str) -> None:
    stage.sandbox.add_fault("b2c", outcome)

    report = stage.sync()
    assert not report.success
    stage.sync_until(stage.is_done)

    books = stage.books()
    assert len(books.requests) == 2
    assert len(books.attempts) == 1


def test_a_throttle_that_lied_is_found_out_by_the_duplicate_answer(stage: Stage) -> None:
    stage.sandbox.add_fault("b2c", "429", truth="pays")
    stage.ask_nothing_yet()

    stage.sync(3)
    stage.ask_now()
    stage.sync_until(stage.is_done)

    assert len(stage.books().debits) == 1


def test_m_pesa_out_of_reach_leaves_everything_for_the_next_pass(stage: Stage) -> None:
    stage.sandbox.outage("mpesa")

    report = stage.sync(quiet=False)
    assert not report.success
    assert DisbursementRequest.objects.count() == 0
    assert run("scheduled_loan_sync")[1] == 1

    stage.sandbox.outage("mpesa", on=False)
    stage.sync_until(stage.is_done)
    stage.books()


def test_a_wrong_credential_stops_the_shortcode_and_the_operator_is_not_locked(
    open_stage: Open,
) -> None:
    stage = open_stage(small_world(payable=5, kinds=()), mifos_concurrency=1)
    stage.sandbox.change_shortcode(stage.shortcode, initiator_password="another")
    stage.ask_nothing_yet()  # or the first pass may ask before the first letter has come

    stage.sync(1)
    stage.ask_now()
    stage.sync(4)

    books = stage.books()
    assert books.debits == []
    assert shortcode_of("sandbox", stage.shortcode).is_credential_refused
    asked = stage.sandbox.requests()["counts"]["mpesa"]
    assert asked.get("status", 0) + asked.get("balance", 0) <= 1


@pytest.mark.parametrize(
    ("change", "code"), [({"has_role": False}, "21"), ({"has_product": False}, "2028")]
)
def test_a_shortcode_without_the_role_or_the_product_stops(
    stage: Stage, change: dict[str, bool], code: str
) -> None:
    stage.sandbox.change_shortcode(stage.shortcode, **change)

    stage.sync(3)

    row = shortcode_of("sandbox", stage.shortcode)
    assert row.breaker_cause.startswith(code)
    assert stage.books().debits == []


def test_a_failure_is_confirmed_before_the_loan_fails(stage: Stage) -> None:
    stage.sandbox.set_wallet(stage.sample.payable[0].msisdn or "", registered=False)
    stage.sandbox.add_fault("status_callback", "lost", times=None)

    stage.sync(2)
    assert stage.attempt().status == AttemptStatus.UNKNOWN
    assert stage.loan().status == LoanStatus.PROCESSING
    stage.sandbox.clear_faults()
    stage.ask_now()
    stage.sync_until(lambda: stage.loan().status == LoanStatus.FAILED)

    books = stage.books()
    assert books.debits == []
    assert stage.loan().next_attempt_at is None
    assert "2040" in stage.loan().error_message
    stage.sync(2)
    assert len(stage.books().attempts) == 1


def test_a_failure_that_m_pesa_does_not_know_is_confirmed_after_the_interval(stage: Stage) -> None:
    stage.settings.LOANPOLL_NOT_FOUND_INTERVAL = 3600
    stage.sandbox.set_wallet(stage.sample.payable[0].msisdn or "", exists=False)

    stage.sync(3)
    assert stage.loan().status == LoanStatus.PROCESSING
    stage.settings.LOANPOLL_NOT_FOUND_INTERVAL = 0
    stage.ask_now()
    stage.sync_until(lambda: stage.loan().status == LoanStatus.FAILED, passes=12)

    stage.books()


def test_a_short_float_pauses_the_queue_and_it_resumes_by_itself(open_stage: Open) -> None:
    stage = open_stage(small_world(payable=4, kinds=()), mifos_concurrency=1)
    needed = sum(loan.net for loan in stage.sample.payable)
    stage.sandbox.change_shortcode(stage.shortcode, utility=str(stage.sample.payable[0].net))

    stage.sync(5)

    books = stage.books()
    assert shortcode_of("sandbox", stage.shortcode).float_short_since is not None
    assert len(books.debits) < 4
    asked = len(books.requests)
    stage.sync(3)
    assert len(stage.books().requests) == asked  # nothing is tried while the float is short

    stage.sandbox.top_up(stage.shortcode, int(needed))
    stage.sync_until(stage.is_done, passes=10)

    books = stage.books()
    assert books.paid == stage.sample.expected_debits
    tried = [each["attempt_no"] for each in books.attempts]
    assert max(tried) == 2


@pytest.mark.parametrize(
    ("wallet", "code"), [({"received": "500000"}, "4"), ({"balance": "500000"}, "8")]
)
def test_a_full_wallet_is_tried_once_more_on_the_next_day_and_then_waits_for_a_person(
    stage: Stage, wallet: dict[str, str], code: str
) -> None:
    stage.sandbox.set_wallet(stage.sample.payable[0].msisdn or "", **wallet)
    stage.sync_until(lambda: stage.loan().status == LoanStatus.FAILED)
    tomorrow = stage.loan().next_attempt_at
    assert stage.attempt().result_code == code
    assert tomorrow is not None
    assert tomorrow > timezone.now()
    assert tomorrow.astimezone(timezone.get_default_timezone()).hour == 0
    stage.sync()
    assert len(stage.books().attempts) == 1

    LoanTracking.objects.update(next_attempt_at=timezone.now())  # the next day
    stage.sync_until(lambda: stage.attempt().attempt_no == 2 and stage.loan().status == "failed")

    assert stage.loan().next_attempt_at is None
    stage.sync()
    assert len(stage.books().attempts) == 2
