"""AUDIT 97: a person settles another attempt than the page showed.

Two attempts of a loan have failed, and M-Pesa calls the first one paid. A person opens "settle" for
it, and looks into the statement. Meanwhile M-Pesa calls attempt 2 paid as well. Nothing that the
page's digest covers has changed by that (the review is the same, the attempts are failed), but the
attempt to settle has: what he says of attempt 1 is written down as said of attempt 2, after M-Pesa
spoke, so that nothing voids it. "What is confirmed must be exactly what was shown."
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, ReviewResolution
from disbursements.pages.actions import KINDS
from disbursements.pages.cases import Case, read_cases
from disbursements.pages.doing import Order, Refused, do
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(hours=1)


def case_now() -> Case:
    [case] = read_cases([LoanTracking.objects.get()], "otieno")
    return case


def test_what_was_seen_of_one_attempt_is_not_said_of_another() -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    first, second = (
        make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=AGO)
        for _ in range(2)
    )
    apply_verdict(first.pk, LATE, now=timezone.now())
    shown = case_now()
    assert shown.questioned == first
    seen = shown.seen  # goes into the page

    also = dataclasses.replace(LATE, receipt="SGH7K2M9QE")
    apply_verdict(second.pk, also, now=timezone.now())
    order = Order(
        user=User.objects.create(username="otieno"),
        reason="the first payment is not on the statement",
        now=timezone.now(),
        outcome="not-paid",
    )

    with pytest.raises(Refused):
        do(KINDS["resolve"], case_now(), order, seen=seen)

    assert not ReviewResolution.objects.exists()
