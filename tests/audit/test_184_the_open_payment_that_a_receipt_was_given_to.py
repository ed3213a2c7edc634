"""AUDIT 184: M-Pesa proves for one loan the receipt that two people gave to another open payment.

"It calls a person to both" (docs/decisions/0006), where the receipt was given to a failed attempt.
Given to an open one, that is recorded in Mifos X as paid, its client never got the money, nobody
is called to it: the review lies with the loan that was paid, and does not even say whose receipt it
is. Whoever looks there finds no way to say "paid".
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking, ReviewReason
from partners.models import Partner
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people

pytestmark = pytest.mark.django_db(transaction=True)


def open_payment(partner: Partner) -> DisbursementRequest:
    return make_attempt(
        make_loan(partner, status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN
    )


def loan_of(attempt: DisbursementRequest) -> LoanTracking:
    return LoanTracking.objects.get(pk=attempt.loan_tracking_id)


@pytest.mark.parametrize("is_same_lender", [True, False])
def test_people_are_called_to_both(is_same_lender: bool) -> None:
    partner = make_partner()
    given = open_payment(partner)
    proven = open_payment(partner if is_same_lender else make_partner())
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    assert not loan_of(given).review_reason

    apply_verdict(proven.pk, LATE, now=timezone.now())

    assert loan_of(proven).review_reason == ReviewReason.RESULT_MISMATCH
    assert loan_of(given).review_reason == ReviewReason.BOOKS_DIFFER
    assert LATE.receipt in loan_of(given).error_message
    assert (str(loan_of(given).loan_id) in loan_of(proven).error_message) == is_same_lender


def test_they_are_called_once() -> None:
    partner = make_partner()
    given, proven = open_payment(partner), open_payment(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(proven.pk, LATE, now=timezone.now())
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)  # they have seen it
    assert not loan_of(given).review_reason

    # The payment stays open, and is asked about by the schedule.
    apply_verdict(proven.pk, LATE, asked_at=timezone.now(), now=timezone.now())

    assert not loan_of(given).review_reason
