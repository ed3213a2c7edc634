"""AUDIT 96: M-Pesa says "pending" of an attempt that was closed because M-Pesa did not know it.

Two questions are on their way about a reported failure. One is answered "not found", so the attempt
is closed as failed, and the result code's policy lets a new one open. The other is answered
"pending": M-Pesa knows the payment, and works on it. In the other order a person decides ("unclear
beats absent", docs/decisions/0006). In this one it "is already failed; nothing to do", and the loan
is paid anew, by itself. So too after the result "kept for later" (contracts/mpesa.md 6).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import is_stopped
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(hours=1)


def reported_failed() -> DisbursementRequest:
    return make_attempt(
        make_loan(status=LoanStatus.PROCESSING),
        status=AttemptStatus.UNKNOWN,
        result_code="1",
        failure_reported_at=AGO,
        first_sent_at=AGO,
        last_sent_at=AGO,
    )


def told(attempt: DisbursementRequest, how: str) -> None:
    if how == "kept for later":
        body = failure(attempt, "100000000", "Request cached, waiting for resending")
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)
        return
    if how == "timed out":
        timeout = failure(attempt, "1")
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_TIMEOUT, timeout).pk)
        return
    body = status_answer(attempt, **({"status": how} if how.istitle() else {"code": how}))
    question = ask(attempt, RequestKind.STATUS)
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)


@pytest.mark.parametrize("word", ["Pending", "kept for later"])
def test_an_unclear_word_after_an_absence_calls_a_person(word: str) -> None:
    attempt = reported_failed()
    told(attempt, "2033")
    assert DisbursementRequest.objects.get().status == AttemptStatus.FAILED

    told(attempt, word)
    retry_by_policy(attempt.partner, now=timezone.now())

    loan = LoanTracking.objects.get()
    assert (loan.status, loan.review_reason) == (LoanStatus.FAILED, ReviewReason.CONTRADICTION)
    assert not is_stopped("sandbox", "600000")
    settle_by_people(attempt, "not-paid")
    assert LoanTracking.objects.get().review_reason == ""


@pytest.mark.parametrize("word", ["2033", "timed out", "17x"])
def test_what_says_nothing_of_the_payment_calls_nobody(word: str) -> None:
    attempt = reported_failed()
    told(attempt, "2033")

    told(attempt, word)

    assert LoanTracking.objects.get().review_reason == ""


def test_an_older_pending_is_no_news_once_m_pesa_said_cancelled() -> None:
    attempt = reported_failed()
    told(attempt, "Cancelled")

    told(attempt, "Pending")

    assert LoanTracking.objects.get().review_reason == ""
