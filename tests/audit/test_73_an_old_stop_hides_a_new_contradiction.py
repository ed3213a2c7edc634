"""AUDIT 73: M-Pesa contradicts itself anew, and the shortcode goes on: it did so once before.

"One loan stops it once" is read from all the loan's history now. Two people have settled the first
contradiction, and a person has let the shortcode go. Then a letter from a strange address, or the
statement, raises a review (which stops nothing), and M-Pesa contradicts itself on the loan again.
The first one, settled long ago, counts as the stop for this one (reliability.md C07, C14). Before
audit 56 only what was said since the review began did.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.contradictions import UNLISTED
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking, ReviewReason
from loans.review import raise_review
from mpesa.shortcodes import is_stopped, reset_breaker
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


@pytest.mark.parametrize("actor", [UNLISTED, "reconcile"])
def test_a_contradiction_after_the_settled_one_stops_the_shortcode(actor: str) -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040")
    apply_verdict(attempt.pk, LATE, now=timezone.now())
    assert is_stopped(*PLACE)
    reset_breaker(*PLACE)
    settle_by_people(attempt, "not-paid")
    assert LoanTracking.objects.get().review_reason == ""
    raise_review(
        loan.pk,
        ReviewReason.CONTRADICTION,
        message="It was proven failed, and now: somebody says that it is paid",
        now=timezone.now(),
        actor=actor,
        disbursement_request_id=attempt.pk,
    )

    apply_verdict(attempt.pk, LATE, now=timezone.now())

    assert is_stopped(*PLACE)
