"""AUDIT 116: two people give a receipt to one loan, M-Pesa proves it for another, unheard.

Audit 83 refuses a receipt that another loan holds. The other way round it is silent: two people say
with receipt R that a failed attempt was paid after all, so its loan is cancelled here for good;
then M-Pesa's result proves R for an open payment of another client. The first one was never paid,
and its loan is lost between the books.
"""

from __future__ import annotations

import dataclasses

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import confirm, propose
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, ReviewReason
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db
OTHERS = ("SGH7K2M9QE", LATE.receipt)


def settle_as_paid(attempt: DisbursementRequest, receipt: str) -> None:
    for name in ("otieno", "wambui"):
        User.objects.get_or_create(username=name)
    first, second = User.objects.order_by("username")
    resolution = propose(
        attempt.pk,
        outcome=ResolutionOutcome.PAID,
        receipt=receipt,
        reason="the statement shows it",
        by=first,
        now=timezone.now(),
    )
    confirm(resolution.pk, by=second, now=timezone.now())


def open_payment_after(receipt: str) -> DisbursementRequest:
    """Return another loan's open payment, after a failed attempt was settled with `receipt`."""
    partner = make_partner()
    failed = make_attempt(
        make_loan(partner, status=LoanStatus.FAILED),
        status=AttemptStatus.FAILED,
        failed_at=timezone.now(),
    )
    called_paid = dataclasses.replace(LATE, receipt="SGH7K2M9QX")
    apply_verdict(failed.pk, called_paid, now=timezone.now())
    settle_as_paid(failed, receipt)
    return make_attempt(make_loan(partner, status=LoanStatus.PROCESSING))


@pytest.mark.parametrize("given", OTHERS)
def test_a_person_is_called_when_the_receipt_was_given_to_another_loan(given: str) -> None:
    attempt = open_payment_after(given)

    apply_verdict(attempt.pk, LATE, now=timezone.now())

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID  # M-Pesa's proof stands
    expected = ReviewReason.BOOKS_DIFFER if given == LATE.receipt else ""
    assert attempt.loan_tracking.review_reason == expected


def test_two_people_can_end_that_review() -> None:
    attempt = open_payment_after(LATE.receipt)
    apply_verdict(attempt.pk, LATE, now=timezone.now())

    settle_as_paid(attempt, LATE.receipt)

    attempt.loan_tracking.refresh_from_db()
    assert attempt.loan_tracking.review_reason == ""
