"""AUDIT 2: result 100000000 ("may be paid later") after a failure, then "not found" = failed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind, RequestKind

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.mark.parametrize("open_code", ["100000000", "17"])
def test_an_open_result_after_a_failure_calls_a_person(open_code):
    loan = make_loan(status=LoanStatus.PROCESSING)
    sent_at = NOW - timedelta(hours=2)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.UNKNOWN,
        send_count=2,
        sends_in_doubt=2,
        first_sent_at=sent_at,
        last_sent_at=sent_at,
    )
    for code in ("1", open_code):
        body = failure(attempt, code)
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)

    question = ask(attempt, RequestKind.STATUS, at=NOW - timedelta(minutes=1))
    body = status_answer(attempt, code="2033")
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN
    assert LoanTracking.objects.get(pk=loan.pk).review_reason != ""


@pytest.mark.parametrize("status", ["Pending", "Authorized", "Initiated"])
def test_not_found_after_m_pesa_said_that_it_works_on_it_is_for_a_person(status):
    loan = make_loan(status=LoanStatus.PROCESSING)
    sent_at = NOW - timedelta(hours=2)
    attempt = make_attempt(
        loan, status=AttemptStatus.UNKNOWN, first_sent_at=sent_at, last_sent_at=sent_at
    )
    result = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, failure(attempt, "1"))
    apply_callback(result.pk)
    for at, body in (
        (NOW - timedelta(minutes=30), status_answer(attempt, status)),
        (NOW - timedelta(minutes=1), status_answer(attempt, code="2033")),
    ):
        question = ask(attempt, RequestKind.STATUS, at=at)
        apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)

    attempt.refresh_from_db()
    # Rule 7: anything unclear goes to review. "Not found" is too weak to take it out of there.
    assert attempt.status == AttemptStatus.UNKNOWN
    assert LoanTracking.objects.get(pk=loan.pk).review_reason == "failure_unconfirmed"
