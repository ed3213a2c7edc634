"""AUDIT 52: what was settled is told from what came after it by two machines' clocks.

The web server's clock is two minutes ahead. Two people settle attempt 1 as not paid; half a minute
later M-Pesa calls it paid. By their clocks the settlement is the younger one, so the success counts
as looked into (reliability.md A8, Y1): "paid" is refused, and a "not paid", of this attempt or of
the next, wipes the review. Then the loan is paid once more.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.questioned import questioned
from disbursements.resolve import confirm, propose
from disbursements.retry import retry_refusal
from disbursements.tests.making import make_attempt, make_loan
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus, LoanTracking, ReviewReason

pytestmark = pytest.mark.django_db
NOW = timezone.now()
WEB = NOW + timedelta(minutes=2)  # the same instant, as the web server tells it
LATE = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QD", code="0")


def people() -> tuple[User, User]:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("otieno", "achieng"))
    return one, other


def settle(attempt: DisbursementRequest, outcome: ResolutionOutcome, receipt: str = "") -> None:
    one, other = people()
    said = propose(
        attempt.pk, outcome=outcome, receipt=receipt, reason="as I see it", by=one, now=WEB
    )
    confirm(said.pk, by=other, now=WEB)


def settled_and_then_paid() -> tuple[LoanTracking, DisbursementRequest]:
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    first = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    settle(first, ResolutionOutcome.NOT_PAID)
    return loan, first


def test_a_success_that_came_after_it_was_settled_is_in_doubt():
    loan, first = settled_and_then_paid()

    apply_verdict(first.pk, LATE, now=NOW + timedelta(seconds=30))

    assert questioned(LoanTracking.objects.get(pk=loan.pk)) == {first.pk}
    settle(first, ResolutionOutcome.PAID, "SGH7K2M9QD")  # the truth can be said


def test_settling_attempt_2_does_not_forget_the_success_of_attempt_1():
    loan, first = settled_and_then_paid()
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.PROCESSING)  # paid again
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    apply_verdict(first.pk, LATE, now=NOW + timedelta(seconds=30))

    settle(second, ResolutionOutcome.NOT_PAID)

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert retry_refusal(loan) != ""  # attempt 1 was paid
