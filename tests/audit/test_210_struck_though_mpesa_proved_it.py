"""AUDIT 210: two people take back a receipt that M-Pesa itself proved, which pays a client twice.

"What is paid stays so, but for a receipt that people gave" (audit 18c). Whose it was is read from
the words in the loan's trail, and these say nothing of the attempt. Attempt 1 failed; two people
give it the receipt R, "paid after all". R was attempt 2's, for which M-Pesa then proves it. Both
attempts are of one loan, so the words "two people gave R to this loan" stand in the trail of the
proven one, too, and the page offers that one. "Not paid" strikes M-Pesa's own receipt; Mifos X is
told nothing, and people are told to pay the client another way. So it goes with a proven payment
whose review two people ended with its receipt, if M-Pesa names that receipt once more for another.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused
from disbursements.tests.books import sent_attempt
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.models import LoanStatus, ReviewReason
from loans.review import raise_review
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of, open_payment

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "SGH7K2M9QX"


def second_of_one_loan() -> tuple[DisbursementRequest, DisbursementRequest]:
    loan = make_loan(make_partner(), status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, failed_at=timezone.now())
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, attempt_no=2)
    raise_review(
        loan.pk,
        ReviewReason.CONTRADICTION,
        message="It was proven failed, and now: a success without its receipt",
        now=timezone.now(),
        disbursement_request_id=first.pk,
    )
    said_by_people(first, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(second.pk, LATE, now=timezone.now())
    second.refresh_from_db()
    assert (second.status, second.transaction_receipt) == (AttemptStatus.PAID, LATE.receipt)
    return first, second


@pytest.mark.parametrize(
    ("outcome", "receipt"), [(ResolutionOutcome.NOT_PAID, ""), (ResolutionOutcome.PAID, OTHER)]
)
def test_the_proven_attempt_of_the_same_loan_keeps_it(
    outcome: ResolutionOutcome, receipt: str
) -> None:
    _, second = second_of_one_loan()

    with pytest.raises(ResolutionRefused, match=LATE.receipt):
        said_by_people(second, outcome, receipt)

    second.refresh_from_db()
    assert second.transaction_receipt == LATE.receipt


def test_both_can_still_be_ended() -> None:
    first, second = second_of_one_loan()

    said_by_people(first, ResolutionOutcome.NOT_PAID)
    said_by_people(second, ResolutionOutcome.PAID, LATE.receipt)

    assert loan_of(second).review_reason == ""


def test_a_review_that_was_ended_with_it_makes_it_no_gift_of_people() -> None:
    partner = make_partner()
    make_product(partner)
    proven = sent_attempt(partner)
    apply_verdict(proven.pk, LATE, now=timezone.now())
    raise_review(
        proven.loan_tracking_id,
        ReviewReason.BOOKS_DIFFER,
        message="a charge was changed",
        now=timezone.now(),
        disbursement_request_id=proven.pk,
    )
    said_by_people(proven, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(open_payment(partner).pk, LATE, now=timezone.now())  # a forged letter, say

    with pytest.raises(ResolutionRefused, match="proved it paid"):
        said_by_people(proven, ResolutionOutcome.NOT_PAID)
