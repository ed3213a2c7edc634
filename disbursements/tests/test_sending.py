"""One send, and what each answer of M-Pesa means for its attempt (contracts/mpesa.md 2.1, 13)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.claiming import Claim
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.sending import backoff_seconds, note_answer, recheck_max_age, send
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from disbursements.tests.peers import FakeMpesa, fresh_of
from loans.models import LoanEvent, LoanStatus
from mpesa.addresses import open_request
from mpesa.client import (
    Accepted,
    MpesaCredentials,
    MpesaNotSent,
    MpesaRefused,
    MpesaThrottled,
    MpesaUnknown,
)
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import open_breaker, shortcode_of

pytestmark = pytest.mark.django_db


def claimed(**columns: Any) -> Claim:
    loan = make_loan(status=LoanStatus.PROCESSING)
    facts = {"status": AttemptStatus.SUBMITTING, "sends_in_doubt": 1, "conversation_id": ""}
    attempt = make_attempt(loan, **{**facts, **columns})
    address = open_request(
        kind=RequestKind.PAYMENT,
        environment="sandbox",
        shortcode="600000",
        originator_conversation_id=str(attempt),
        now=timezone.now(),
    )
    return Claim(attempt=attempt, address=address)


def sent(claim: Claim, *answers: Any, age: float = 0, peer: Any = None) -> DisbursementRequest:
    mpesa: Any = peer or FakeMpesa()
    mpesa.pay_answers.extend(answers)
    fresh = fresh_of(claim.attempt.loan_tracking, age=age)
    send(claim, fresh=fresh, mpesa=mpesa)
    return DisbursementRequest.objects.select_related("loan_tracking").get(pk=claim.attempt.pk)


def test_the_order_says_what_the_claim_promised():
    claim, mpesa = claimed(), FakeMpesa()

    attempt = sent(claim, peer=mpesa)

    [order] = mpesa.orders
    assert order.originator_conversation_id == attempt.originator_conversation_id
    assert (order.amount, order.msisdn) == (attempt.amount, attempt.msisdn)
    assert (order.result_url, order.timeout_url) == (
        claim.address.result_url,
        claim.address.timeout_url,
    )
    assert str(attempt.loan_tracking.loan_id) in order.remarks
    assert attempt.status == AttemptStatus.ACCEPTED
    assert attempt.conversation_id == "AG_1"
    assert attempt.next_query_at is not None


@pytest.mark.parametrize(
    ("answer", "in_doubt"),
    [
        (MpesaNotSent("no way out"), 0),
        (MpesaThrottled("busy"), 1),
        (MpesaCredentials("no product"), 1),
    ],
)
def test_what_did_not_arrive_is_sent_again_later(answer, in_doubt):
    attempt = sent(claimed(), answer)

    assert (attempt.status, attempt.sends_in_doubt) == (AttemptStatus.SUBMITTING, in_doubt)
    assert attempt.resend_at is not None
    assert attempt.resend_at > timezone.now() + timedelta(seconds=50)
    assert attempt.loan_tracking.status == LoanStatus.PROCESSING
    assert str(answer) in attempt.loan_tracking.error_message


def test_a_refusal_of_the_only_send_is_proof():
    attempt = sent(claimed(), MpesaRefused("bad amount", code="400.002.02"))

    assert (attempt.status, attempt.result_code) == (AttemptStatus.FAILED, "400.002.02")
    assert attempt.loan_tracking.status == LoanStatus.FAILED
    assert attempt.loan_tracking.next_attempt_at is None
    proof = LoanEvent.objects.get(to_status="failed", disbursement_request_id=attempt.pk).details
    assert proof["proof"] == "refused by the gateway"


def test_an_order_that_is_no_order_never_leaves_and_fails():
    attempt = sent(claimed(), ValueError("remarks too long"))

    assert attempt.status == AttemptStatus.FAILED


@pytest.mark.parametrize(
    "answer", [MpesaUnknown("timed out"), MpesaUnknown("", code="500.002.1001")]
)
def test_every_other_answer_leaves_the_fate_open(answer):
    attempt = sent(claimed(), answer)

    assert (attempt.status, attempt.sends_in_doubt) == (AttemptStatus.UNKNOWN, 1)
    assert attempt.loan_tracking.status == LoanStatus.PROCESSING
    assert attempt.next_query_at is not None


def test_a_refusal_after_a_send_in_doubt_proves_nothing_of_the_first():
    attempt = sent(claimed(send_count=2, sends_in_doubt=2), MpesaRefused("bad", code="400.002.02"))

    assert (attempt.status, attempt.sends_in_doubt) == (AttemptStatus.UNKNOWN, 1)


def test_a_refused_app_stops_the_shortcode():
    sent(claimed(), MpesaCredentials("403.002.1001"))

    assert shortcode_of("sandbox", "600000").is_credential_refused


def test_a_shortcode_that_was_stopped_since_the_claim_sends_nothing():
    claim, mpesa = claimed(), FakeMpesa()
    open_breaker("sandbox", "600000", cause="2001", now=timezone.now())

    attempt = sent(claim, peer=mpesa)

    assert mpesa.orders == []
    assert (attempt.status, attempt.sends_in_doubt) == (AttemptStatus.SUBMITTING, 0)


def test_the_client_is_told_until_when_the_look_into_mifos_is_good():
    claim, mpesa = claimed(), FakeMpesa()
    fresh = fresh_of(claim.attempt.loan_tracking, age=4)

    send(claim, fresh=fresh, mpesa=mpesa)  # type: ignore[arg-type]  # a stand-in

    assert mpesa.orders[0].not_after == pytest.approx(fresh.read_at + 10)


def test_a_callback_that_overtakes_the_answer_is_not_undone():
    claim, mpesa = claimed(), FakeMpesa()

    def overtake(order: Any) -> None:
        kept = letter(ask(claim.attempt), CallbackKind.PAYMENT_RESULT, success(claim.attempt))
        apply_callback(kept.pk)

    mpesa.while_paying = overtake

    attempt = sent(claim, peer=mpesa)

    assert (attempt.status, attempt.conversation_id) == (AttemptStatus.PAID, "AG_1")


def test_an_unclear_answer_after_the_callback_changes_nothing():
    claim = claimed()
    DisbursementRequest.objects.update(status=AttemptStatus.UNKNOWN)

    attempt = sent(claim, MpesaUnknown("reset"))

    assert attempt.status == AttemptStatus.UNKNOWN
    assert not LoanEvent.objects.exists()


def test_an_answer_that_comes_after_the_next_send_is_not_about_it():
    claim = claimed()
    DisbursementRequest.objects.update(send_count=2, sends_in_doubt=2)
    claim.attempt.send_count = 1

    attempt = sent(claim, MpesaNotSent("late"))

    assert attempt.sends_in_doubt == 2


def test_an_id_that_is_known_already_is_kept():
    claim = claimed(status=AttemptStatus.PAID, conversation_id="AG_first")
    answer = Accepted(conversation_id="AG_2", originator_conversation_id="", description="")

    note_answer(claim.attempt, answer, now=timezone.now())

    claim.attempt.refresh_from_db()
    assert claim.attempt.conversation_id == "AG_first"


def test_pauses_grow_and_have_an_end(settings):
    settings.LOANPOLL_BACKOFF_BASE = 2

    assert [backoff_seconds(count) for count in (0, 1, 2, 3, 50)] == [2, 2, 4, 8, 120]


def test_a_look_may_always_be_a_second_old(settings):
    settings.LOANPOLL_RECHECK_MAX_AGE = 0

    assert recheck_max_age() == 1
