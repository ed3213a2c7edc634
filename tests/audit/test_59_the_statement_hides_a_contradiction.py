"""AUDIT 59: M-Pesa contradicts itself, and the shortcode goes on: the statement said it before.

Reconciling finds a failed attempt on the statement and calls a person, under the name of a
contradiction; it stops nothing. When M-Pesa's own letter then says "paid", that review counts as if
the shortcode had been stopped (and let go) for this loan already (reliability.md C14).
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
from mpesa.shortcodes import is_stopped

pytestmark = pytest.mark.django_db


def test_m_pesas_own_contradiction_stops_the_shortcode_whatever_the_statement_said() -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1")
    raise_review(
        loan.pk,
        ReviewReason.CONTRADICTION,
        message="The statement shows receipt SGH7K2M9QD with the phone and amount of loan 1",
        now=timezone.now(),
        actor="reconcile",
        disbursement_request_id=attempt.pk,
    )
    assert not is_stopped("sandbox", "600000")

    apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt)).pk)

    assert is_stopped("sandbox", "600000")
