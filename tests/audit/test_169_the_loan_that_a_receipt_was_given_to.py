"""AUDIT 169: M-Pesa proves a receipt that people gave to another lender's loan: nobody there hears.

"It calls a person to both" (docs/decisions/0006), and does to the loan that was paid only. The
other one, of which people said that it was paid after all, is cancelled here and asked for by
nobody: its client was never paid, and the one review lies with a lender who may not even see it.
"""

from __future__ import annotations

import dataclasses

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.questioned import questioned
from disbursements.resolve import confirm, propose
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking, ReviewReason
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db(transaction=True)


def said_by_people(
    attempt: DisbursementRequest, outcome: ResolutionOutcome, receipt: str = ""
) -> None:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("otieno", "achieng"))
    now = timezone.now()
    said = propose(
        attempt.pk, outcome=outcome, receipt=receipt, reason="so it stands there", by=one, now=now
    )
    confirm(said.pk, by=other, now=timezone.now())


def failed_and_given(receipt: str) -> DisbursementRequest:
    """Return one lender's failed attempt, of which two people said that it was paid after all."""
    attempt = make_attempt(
        make_loan(make_partner(), status=LoanStatus.FAILED),
        status=AttemptStatus.FAILED,
        failed_at=timezone.now(),
    )
    apply_verdict(attempt.pk, dataclasses.replace(LATE, receipt="SGH7K2M9QX"), now=timezone.now())
    said_by_people(attempt, ResolutionOutcome.PAID, receipt)
    return attempt


def test_people_are_called_to_the_other_loan_too() -> None:
    given = failed_and_given(LATE.receipt)
    assert not LoanTracking.objects.get(pk=given.loan_tracking_id).review_reason
    proven = make_attempt(make_loan(make_partner(), status=LoanStatus.PROCESSING))

    apply_verdict(proven.pk, LATE, now=timezone.now())

    for attempt in (proven, given):
        loan = LoanTracking.objects.get(pk=attempt.loan_tracking_id)
        assert loan.review_reason == ReviewReason.BOOKS_DIFFER
        assert LATE.receipt in loan.error_message
        assert questioned(loan) == {attempt.pk}


def test_two_people_can_end_that_review() -> None:
    given = failed_and_given(LATE.receipt)
    proven = make_attempt(make_loan(make_partner(), status=LoanStatus.PROCESSING))
    apply_verdict(proven.pk, LATE, now=timezone.now())

    said_by_people(given, ResolutionOutcome.NOT_PAID)

    loan = LoanTracking.objects.get(pk=given.loan_tracking_id)
    assert (loan.review_reason, loan.status) == ("", LoanStatus.CANCELLED)
