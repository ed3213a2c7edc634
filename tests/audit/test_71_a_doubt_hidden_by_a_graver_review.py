"""AUDIT 71: a doubt about attempt 2 is lost, because the review of attempt 1 is graver.

A failure was reported of the open attempt 2, and then a letter of doubtful source, or an answer
that says "pending", speaks against it: from then on "not found" shall fail nothing. That is kept in
the loan's review alone. While a contradiction of attempt 1 stands there, it is kept nowhere. Two
people settle attempt 1, the review is over, one "not found" fails attempt 2, and the result code's
policy pays the loan a third time by itself.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, status_answer, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind, RequestKind
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(hours=1)


@pytest.mark.parametrize("doubt", ["a success from a strange address", "still pending"])
def test_a_doubt_outlives_the_review_of_another_attempt(doubt: str) -> None:
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=LONG_AGO)
    second = make_attempt(
        loan,
        status=AttemptStatus.UNKNOWN,
        result_code="1",
        failure_reported_at=LONG_AGO,
        first_sent_at=LONG_AGO,
        last_sent_at=LONG_AGO,
    )
    apply_verdict(first.pk, LATE, now=timezone.now())
    if doubt == "still pending":
        question, body = ask(second, RequestKind.STATUS), status_answer(second, "Pending")
        apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)
    else:
        body = success(second, TransactionReceipt="SGH7K2M9QE")
        kept = letter(ask(second), CallbackKind.PAYMENT_RESULT, body, is_quarantined=True)
        apply_callback(kept.pk)
    settle_by_people(first, "not-paid")  # true: attempt 1 is not on the statement

    question, body = ask(second, RequestKind.STATUS), status_answer(second, code="2033")
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)
    retry_by_policy(loan.partner, now=timezone.now())

    assert DisbursementRequest.objects.get(pk=second.pk).status == AttemptStatus.UNKNOWN
    assert LoanTracking.objects.get().status == LoanStatus.PROCESSING
