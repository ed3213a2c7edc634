"""AUDIT 21: a letter delivered twice stops a shortcode that a person has just let go (C03)."""

from __future__ import annotations

import pytest

from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.models import CallbackKind
from mpesa.shortcodes import is_stopped, reset_breaker

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


def test_the_same_letter_again_has_no_second_effect_on_the_shortcode():
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING))
    request, body = ask(attempt), failure(attempt, "2001")
    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, body).pk)
    assert is_stopped(*PLACE)
    reset_breaker(*PLACE)  # a person corrected the credential

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, body).pk)

    assert not is_stopped(*PLACE)
