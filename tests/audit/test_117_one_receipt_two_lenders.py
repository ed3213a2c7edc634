"""AUDIT 117: one receipt settles two loans, when two lenders pay from one shortcode.

A receipt is one payment of the shortcode's account, whichever lender's loan it pays. It is looked
for among the payments of the same lender only: people settle a second lender's silent payment with
a receipt that the first one's loan holds, or M-Pesa proves it for the second, and both loans are
recorded in Mifos X as paid though the money moved once. Nobody is called.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resolve import ResolutionRefused
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, ReviewReason
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people

pytestmark = pytest.mark.django_db
ELSEWHERE = "600001"


def silent_beside_a_holder(*, shortcode: str) -> DisbursementRequest:
    """Return a silent payment from 600000, while another lender's loan holds the receipt."""
    holder = make_loan(
        make_partner(mpesa_shortcode=shortcode),
        status=LoanStatus.PROCESSING,
        mpesa_receipt_number=LATE.receipt,
    )
    make_attempt(holder, status=AttemptStatus.PAID)
    return make_attempt(make_loan(status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN)


def test_people_cannot_settle_with_a_receipt_of_another_lender() -> None:
    attempt = silent_beside_a_holder(shortcode="600000")

    with pytest.raises(ResolutionRefused):
        settle_by_people(attempt, "paid", LATE.receipt)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN


def test_a_person_is_called_when_mpesa_proves_it_for_both() -> None:
    attempt = silent_beside_a_holder(shortcode="600000")

    apply_verdict(attempt.pk, LATE, now=timezone.now())

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.loan_tracking.review_reason == ReviewReason.RESULT_MISMATCH


def test_another_shortcodes_receipt_says_nothing() -> None:
    attempt = silent_beside_a_holder(shortcode=ELSEWHERE)

    apply_verdict(attempt.pk, LATE, now=timezone.now())

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID
