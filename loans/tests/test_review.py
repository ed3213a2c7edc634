"""The work queue: a graver cause replaces a lighter one, and the same one is said once."""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.tests.making import make_loan
from loans.models import LoanEvent, LoanTracking, ReviewReason
from loans.review import GRAVITY, raise_review

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def test_every_reason_has_its_weight():
    assert set(GRAVITY) == set(ReviewReason)


@pytest.mark.parametrize(
    ("first", "second", "standing"),
    [
        ("", "outcome_unknown", "outcome_unknown"),
        ("outcome_unknown", "outcome_unknown", "outcome_unknown"),
        ("outcome_unknown", "double_payment", "double_payment"),
        ("double_payment", "outcome_unknown", "double_payment"),
    ],
)
def test_a_graver_cause_replaces_a_lighter_one_and_never_the_other_way(first, second, standing):
    loan = make_loan(review_reason=first)

    raise_review(loan.pk, ReviewReason(second), message="look", now=NOW)

    assert LoanTracking.objects.get().review_reason == standing
    assert LoanEvent.objects.count() == (0 if first == standing else 1)


def test_the_event_names_the_attempt():
    loan = make_loan()

    raise_review(
        loan.pk, ReviewReason.BOOKS_DIFFER, message="look", now=NOW, disbursement_request_id=8
    )

    assert LoanEvent.objects.get().details == {
        "review": "books_differ",
        "disbursement_request_id": 8,
    }
