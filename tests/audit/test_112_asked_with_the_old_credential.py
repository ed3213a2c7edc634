"""AUDIT 112: a question that left with the old credential stops the shortcode after its correction.

Audit 84 looked at payments only. M-Pesa refuses a question about an open payment while a person
corrects the credential and lets the shortcode go; the refusal of the old one then opens the breaker
again, of every lender of the shortcode, though nothing is sent or asked with it any more.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.ask import ask_the_silent
from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from mpesa.client import MpesaCredentials
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = ("sandbox", "600000")


class RefusesTheOldOne:
    """An M-Pesa that refuses the question's credential, which is being corrected meanwhile."""

    def __init__(self, *, is_corrected: bool) -> None:
        self._is_corrected = is_corrected

    def ask_status(self, question: Any) -> Any:
        open_breaker(*PLACE, cause="another's refusal", now=timezone.now())
        if self._is_corrected:
            row = Partner.objects.get()
            row.mpesa_consumer_secret = "the-new-one"
            row.save()
        reset_breaker(*PLACE)
        raise MpesaCredentials("a token issued a moment ago is rejected", code="401.002.01")


@pytest.mark.parametrize("is_corrected", [True, False])
def test_the_refusal_of_the_old_one_stops_nothing(is_corrected: bool) -> None:
    loan = make_loan(make_partner(), status=LoanStatus.PROCESSING)
    make_attempt(loan, status=AttemptStatus.UNKNOWN, next_query_at=timezone.now())
    mpesa: Any = RefusesTheOldOne(is_corrected=is_corrected)

    ask_the_silent(Partner.objects.get(), mpesa)

    assert is_stopped(*PLACE) != is_corrected
