"""AUDIT 81: a statement row that fits by likeness, and a genuine failure: all payouts stop.

A client has two loans of the same amount. Both results are late; M-Pesa has paid one and, its limit
for the number reached, refused the other. The statement has one row, which fits both, and is laid
to the first. "The row fits by phone and amount only, so it proves nothing". But M-Pesa's true word
that this one failed then counts as M-Pesa contradicting itself: the shortcode is stopped, with
every lender that pays from it (audit 51's mend; reliability.md S19. Audit 59: the statement alone
stops nothing).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.evidence import heed_statement
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import is_stopped

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
AGO = timezone.now() - timedelta(hours=1)


def heeded(**columns: object) -> DisbursementRequest:
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan, status=AttemptStatus.UNKNOWN, first_sent_at=AGO, last_sent_at=AGO, **columns
    )
    said = "The statement shows receipt SGX0000001 with the phone and amount of loan 1"
    heed_statement(attempt.pk, receipt="SGX0000001", reason=said, now=timezone.now())
    return DisbursementRequest.objects.get(pk=attempt.pk)


def told(attempt: DisbursementRequest, how: str) -> None:
    if how == "a result":
        body = failure(attempt, "8", "the number's limit is reached")
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)
    else:
        body = status_answer(attempt, "Cancelled")
        question = ask(attempt, RequestKind.STATUS)
        apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)


@pytest.mark.parametrize("how", ["a result", "an answer"])
def test_a_failure_against_a_likeness_calls_a_person_and_stops_nobody(how: str) -> None:
    attempt = heeded()

    for _ in range(2):
        told(attempt, how)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN  # nothing fails it by itself
    assert LoanTracking.objects.get().review_reason == ReviewReason.CONTRADICTION
    assert not is_stopped(*PLACE)


@pytest.mark.parametrize("first", ["M-Pesa", "the statement"])
def test_m_pesas_own_word_beside_it_still_stops_the_shortcode(first: str) -> None:
    attempt = heeded() if first == "the statement" else heeded(result_code="0")
    if first == "the statement":
        body = success(attempt, TransactionReceipt=None)
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)

    told(attempt, "an answer")

    assert is_stopped(*PLACE)


def test_so_does_a_success_after_that_failure() -> None:
    attempt = heeded()
    told(attempt, "an answer")
    assert not is_stopped(*PLACE)

    body = success(attempt, TransactionAmount=1)
    apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)
    told(attempt, "an answer")

    assert is_stopped(*PLACE)
