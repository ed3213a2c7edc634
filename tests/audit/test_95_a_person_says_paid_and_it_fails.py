"""AUDIT 95: a person proposes "paid", with the receipt on the statement, and it fails all the same.

A failure was reported (it has no signature). One person finds the payment on the statement and
proposes "paid". Before the second has looked, M-Pesa's index knows no such payment: the attempt is
closed as failed, "paid" can no more be confirmed ("closed as failed and stays so"), and the result
code's policy pays the loan anew, by itself. When reconciling reads the same row, nothing fails the
payment by itself any more (audit 51).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import confirm, propose, withdraw
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import is_stopped

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(hours=1)


def told(attempt: DisbursementRequest, how: str) -> None:
    if how == "a failure":
        body = failure(attempt, "1", "The balance is insufficient")
        apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)
        return
    body = status_answer(attempt, **({"code": "2033"} if how == "not found" else {"status": how}))
    question = ask(attempt, RequestKind.STATUS)
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [([], ["a failure", "not found"]), (["a failure"], ["not found"]), ([], ["Cancelled"])],
)
def test_what_a_person_called_paid_does_not_fail_by_itself(
    earlier: list[str], later: list[str]
) -> None:
    loan = make_loan(status=LoanStatus.PROCESSING)
    times = {"first_sent_at": AGO, "last_sent_at": AGO}
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN, **times)
    otieno, achieng = (User.objects.create(username=name) for name in ("otieno", "achieng"))
    for word in earlier:
        told(attempt, word)
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.PAID,
        receipt="SGH7K2M9QD",
        reason="on the statement of 09:00",
        by=otieno,
        now=timezone.now(),
    )
    for word in later:
        told(attempt, word)
    retry_by_policy(loan.partner, now=timezone.now())

    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
    assert LoanTracking.objects.get().status == LoanStatus.PROCESSING
    assert not is_stopped("sandbox", "600000")  # M-Pesa has not contradicted itself
    confirm(said.pk, by=achieng, now=timezone.now())
    assert DisbursementRequest.objects.get().status == AttemptStatus.PAID
    assert LoanTracking.objects.get().review_reason == ""


def test_once_it_is_withdrawn_m_pesas_word_counts_again() -> None:
    times = {"first_sent_at": AGO, "last_sent_at": AGO}
    attempt = make_attempt(
        make_loan(status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN, **times
    )
    otieno = User.objects.create(username="otieno")
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.PAID,
        receipt="SGH7K2M9QD",
        reason="on the statement of 09:00",
        by=otieno,
        now=timezone.now(),
    )
    withdraw(said.pk, by=otieno, now=timezone.now())
    told(attempt, "Cancelled")

    assert DisbursementRequest.objects.get().status == AttemptStatus.FAILED
