"""AUDIT 161: M-Pesa is asked about a payment at another shortcode than the one that paid it.

A lender's shortcode is changed in the instant in which a payment is claimed, or by hand in the
table. The schedule never asks about that payment again ("another shortcode finds nothing under this
id, and that must not read as not paid"); the button "Ask M-Pesa now" and the worker's job do. The
other shortcode answers "not found", which confirms a reported failure: what was paid may be paid
again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.ask import ask_one
from disbursements.models import AttemptStatus
from disbursements.pages.actions import KINDS
from disbursements.pages.cases import read_cases
from disbursements.pages.doing import Order, Refused, do
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMpesa
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db(transaction=True)
DUE = timezone.now() - timedelta(hours=1)


@pytest.mark.parametrize("shortcode", ["600000", "600001"])
def test_only_the_shortcode_that_paid_is_asked(shortcode: str) -> None:
    partner = make_partner(mpesa_shortcode=shortcode)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan, status=AttemptStatus.UNKNOWN, mpesa_shortcode="600000", next_query_at=DUE
    )
    mpesa: Any = FakeMpesa()

    assert ask_one(attempt.pk, mpesa) == (shortcode == "600000")
    assert len(mpesa.questions) == (shortcode == "600000")


def test_staff_are_told_what_is_left_to_do() -> None:
    partner = make_partner(mpesa_shortcode="600001")
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(loan, status=AttemptStatus.UNKNOWN, mpesa_shortcode="600000", next_query_at=DUE)
    user = User.objects.create_superuser("ann.k", password="a-good-long-password")
    [case] = read_cases([LoanTracking.objects.get()], user.get_username())
    order = Order(user=user, reason="the client calls", now=timezone.now())

    with pytest.raises(Refused, match="shortcode 600000"):
        do(KINDS["ask"], case, order, seen=case.seen)
