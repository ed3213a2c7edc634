"""Letters of M-Pesa: what each kind may move, and that each acts once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements import settle
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.settle import apply_callback, apply_unread_callbacks
from disbursements.tests.letters import (
    PAID,
    ask,
    balance_answer,
    failure,
    letter,
    status_answer,
    success,
)
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus, ReviewReason
from mpesa.models import CallbackKind, MpesaCallback, RequestKind, Shortcode
from mpesa.shortcodes import mark_float_short, shortcode_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt() -> DisbursementRequest:
    return make_attempt(make_loan(status=LoanStatus.PROCESSING))


def tell(attempt: DisbursementRequest, body: Any, **columns: Any) -> str:
    return apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body, **columns).pk)


def no_float(attempt: DisbursementRequest) -> dict[str, Any]:
    return failure(attempt, "1")


def rail(attempt: DisbursementRequest) -> Shortcode:
    return shortcode_of(attempt.mpesa_environment, attempt.mpesa_shortcode)


def test_a_success_pays_and_brings_the_float(attempt):
    tell(attempt, success(attempt))

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID
    assert attempt.transaction_completed_at.isoformat() == "2026-11-23T09:00:00+00:00"
    assert rail(attempt).utility_balance == Decimal(90_000)


def test_a_letter_acts_once(attempt):
    callback = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt))
    apply_callback(callback.pk)
    events = LoanEvent.objects.count()

    assert apply_callback(callback.pk) == "was read before"
    assert LoanEvent.objects.count() == events


def test_a_failed_try_leaves_the_letter_unread(attempt, monkeypatch):
    callback = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt))
    with monkeypatch.context() as patch:
        patch.setattr(settle, "apply_verdict", lambda *a, **k: 1 / 0)
        assert apply_unread_callbacks(attempt.partner) == 0
    callback.refresh_from_db()
    assert callback.applied_at is None

    assert apply_unread_callbacks(attempt.partner) == 1
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID


@pytest.mark.parametrize(
    "changes",
    [
        {"TransactionAmount": 1},
        {"ReceiverPartyPublicName": "254700000001 - JOHN DOE"},
    ],
)
def test_a_success_of_another_amount_or_phone_goes_to_a_person(attempt, changes):
    tell(attempt, success(attempt, **changes))

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.loan_tracking.review_reason == ReviewReason.RESULT_MISMATCH
    assert rail(attempt).utility_balance is None


def test_a_letter_that_names_another_payment_moves_nothing_on_the_shortcode(attempt):
    body = failure(attempt, "2001")
    body["Result"]["OriginatorConversationID"] = "600000-another"

    tell(attempt, body)

    attempt.refresh_from_db()
    assert attempt.loan_tracking.review_reason == ReviewReason.RESULT_MISMATCH
    assert rail(attempt).breaker_opened_at is None


@pytest.mark.parametrize("missing", ["TransactionReceipt", "TransactionAmount"])
def test_a_success_without_its_details_is_not_paid(attempt, missing):
    tell(attempt, success(attempt, **{missing: None}))

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.loan_tracking.review_reason == ReviewReason.OUTCOME_UNKNOWN


def test_result_1_pauses_the_queue_and_2001_stops_the_shortcode(attempt):
    tell(attempt, failure(attempt, "1"))
    assert rail(attempt).float_short_since is not None
    assert rail(attempt).breaker_opened_at is None

    tell(attempt, failure(attempt, "2001"))
    row = rail(attempt)
    assert row.breaker_opened_at is not None
    assert row.is_credential_refused


def test_a_queue_time_out_is_not_a_failure(attempt):
    request = ask(attempt)
    apply_callback(letter(request, CallbackKind.PAYMENT_TIMEOUT, "anything at all").pk)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, success(attempt)).pk)
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID


def question(attempt: DisbursementRequest) -> Any:
    return ask(attempt, RequestKind.STATUS)


def test_completed_by_a_status_query_is_paid(attempt):
    body = status_answer(attempt)
    apply_callback(letter(question(attempt), CallbackKind.STATUS_RESULT, body).pk)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID


def test_a_doubled_not_found_counts_once(attempt):
    asked = question(attempt)
    body = status_answer(attempt, code="2033")

    first = apply_callback(letter(asked, CallbackKind.STATUS_RESULT, body).pk)
    again = apply_callback(letter(asked, CallbackKind.STATUS_RESULT, body).pk)

    assert "does not know" in first
    assert "counts once" in again


def test_a_status_time_out_changes_nothing(attempt):
    said = apply_callback(letter(question(attempt), CallbackKind.STATUS_TIMEOUT, "{}").pk)

    assert "asks again" in said
    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.ACCEPTED


@pytest.mark.parametrize("code", ["2001", "8006", "21"])
def test_a_question_that_our_credential_fails_stops_the_shortcode(attempt, code):
    body = status_answer(attempt, code=code)

    apply_callback(letter(question(attempt), CallbackKind.STATUS_RESULT, body).pk)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.ACCEPTED
    assert rail(attempt).is_credential_refused


def test_a_letter_from_a_strange_address_is_only_a_reason_to_ask(attempt):
    said = tell(attempt, success(attempt), is_quarantined=True)

    attempt.refresh_from_db()
    assert "quarantined" in said
    assert attempt.status == AttemptStatus.ACCEPTED
    assert attempt.next_query_at is not None


@pytest.mark.parametrize("body", ["", None])
def test_a_bad_answer_to_a_question_is_not_asked_again_at_once(attempt, body):
    note_next = timezone.now() + timedelta(hours=1)
    DisbursementRequest.objects.filter(pk=attempt.pk).update(next_query_at=note_next)
    text = status_answer(attempt) if body is None else body

    said = apply_callback(
        letter(question(attempt), CallbackKind.STATUS_RESULT, text, is_quarantined=body is None).pk
    )

    attempt.refresh_from_db()
    assert said.startswith(("quarantined", "unreadable"))
    assert attempt.next_query_at == note_next


@pytest.mark.parametrize(
    ("status", "body", "review"),
    [
        (AttemptStatus.FAILED, success, ReviewReason.CONTRADICTION),
        (AttemptStatus.FAILED, no_float, ""),
        (AttemptStatus.COMPLETED, no_float, ReviewReason.CONTRADICTION),
        (AttemptStatus.COMPLETED, success, ""),
    ],
)
def test_a_strange_letter_that_contradicts_a_closed_attempt_calls_a_person_and_stops_nothing(
    status, body, review
):
    receipt = "" if status == AttemptStatus.FAILED else PAID["TransactionReceipt"]
    loan = make_loan(status=LoanStatus.FAILED if not receipt else LoanStatus.DISBURSED)
    closed = make_attempt(loan, status=status, transaction_receipt=receipt)

    tell(closed, body(closed), is_quarantined=True)

    loan.refresh_from_db()
    closed.refresh_from_db()
    assert (closed.status, loan.review_reason) == (status, review)
    assert rail(closed).breaker_opened_at is None


def test_a_strange_letter_does_not_use_up_the_answer_to_a_question(attempt):
    asked = question(attempt)
    body = status_answer(attempt, code="2033")
    strange = letter(asked, CallbackKind.STATUS_RESULT, body, is_quarantined=True)
    apply_callback(strange.pk)

    apply_callback(letter(asked, CallbackKind.STATUS_RESULT, body).pk)

    attempt.refresh_from_db()
    assert attempt.last_not_found_at is not None


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"Result": {}}'])
def test_what_cannot_be_read_is_kept_and_asked_about(attempt, body):
    said = tell(attempt, body)

    attempt.refresh_from_db()
    assert said.startswith("unreadable")
    assert attempt.status == AttemptStatus.ACCEPTED
    assert attempt.next_query_at is not None


def test_an_unreadable_balance_asks_about_no_payment(attempt):
    request = ask(None, RequestKind.BALANCE, environment="sandbox", shortcode="600000")

    said = apply_callback(letter(request, CallbackKind.BALANCE_RESULT, "<html>").pk)

    assert said.startswith("unreadable")


def test_letters_that_belong_to_nothing_are_kept(attempt):
    assert "no request" in apply_callback(letter(None, CallbackKind.PAYMENT_RESULT, "{}").pk)
    request = ask(attempt)
    request.originator_conversation_id = "600000-gone"
    request.save()
    assert "no attempt" in apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, "{}").pk)
    assert MpesaCallback.objects.filter(applied_at=None).count() == 0


def test_a_balance_that_covers_ends_the_shortage(attempt):
    place = ("sandbox", "600000")
    mark_float_short(*place, now=attempt.created_at)
    request = ask(None, RequestKind.BALANCE, environment=place[0], shortcode=place[1])

    apply_callback(letter(request, CallbackKind.BALANCE_TIMEOUT, "{}").pk)
    quarantined = letter(
        request, CallbackKind.BALANCE_RESULT, balance_answer("50000.00"), is_quarantined=True
    )
    apply_callback(quarantined.pk)
    assert shortcode_of(*place).float_short_since is not None

    apply_callback(letter(request, CallbackKind.BALANCE_RESULT, balance_answer("50000.00")).pk)
    assert shortcode_of(*place).float_short_since is None
