"""AUDIT 56: the same contradiction stops the shortcode again and again, under a graver review.

"One loan stops it once" is read from the loan's review. While that says "possible double payment",
which is graver, every doubled letter, and every answer of the daily question, stops all the lenders
of the shortcode anew, though a person has let it go (audit 21, reliability.md C03, S19).
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, ReviewReason
from loans.review import raise_review
from mpesa.models import CallbackKind
from mpesa.shortcodes import is_stopped, reset_breaker

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_doubled_letter_does_not_stop_the_shortcode_again(when: str) -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1")
    request, body = ask(attempt), success(attempt)

    def double() -> None:
        graver = ReviewReason.DOUBLE_PAYMENT
        raise_review(loan.pk, graver, message="Mifos X shows another one", now=timezone.now())

    if when == "before":
        double()
    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, body).pk)
    if when == "after":
        double()
    assert is_stopped(*PLACE)
    reset_breaker(*PLACE)  # a person has looked

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, body).pk)

    assert not is_stopped(*PLACE)
