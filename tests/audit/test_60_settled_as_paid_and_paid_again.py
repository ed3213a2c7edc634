"""AUDIT 60: two people say that a failed attempt was paid after all, and the loan is paid again.

Only a loan that is still `failed` is taken out of the way for good. One that was reopened before
the late success came (by a person, or by the result code's policy), or whose next attempt was open
at that moment and fails later, forgets what the two people said: the review is over, and the next
pass pays it a second time by itself.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.process import due_loans, pay_loan
from disbursements.retry import retry_by_policy, retry_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from disbursements.verdicts import Proof, Verdict
from loans.approvals import approve_loan
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason
from loans.refresh import reopen
from mpesa.models import Shortcode
from tests.audit.test_31_mends_of_the_first import LATE, decided, settle_by_people, whole

pytestmark = pytest.mark.django_db
NOW = timezone.now()
FIRST = "SGH7K2M9QD"  # the receipt of the late success


def next_passes(loan: LoanTracking) -> FakeMpesa:
    """Everything that passes do for a loan that Mifos X still shows as waiting."""
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    Shortcode.objects.update(breaker_opened_at=None, breaker_cause="")  # a person has reset it
    for _ in range(2):
        retry_by_policy(loan.partner, now=timezone.now())
        decided(loan)
        partner = whole(loan.partner)
        for pk in due_loans(partner, now=timezone.now()):
            pay_loan(pk, make_shop(partner, mifos, mpesa))
    return mpesa


@pytest.mark.parametrize("by", ["a person", "the policy"])
def test_a_loan_that_waits_for_its_next_attempt_is_not_paid_again(by: str):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    if by == "a person":
        retry_loan(loan.pk, actor="wanjiru", reason="the borrower asks", now=NOW)
    else:
        retry_by_policy(partner, now=timezone.now())
    apply_verdict(first.pk, LATE, now=timezone.now())
    loan.refresh_from_db()
    assert (loan.status, loan.review_reason) == (LoanStatus.PENDING, ReviewReason.CONTRADICTION)

    settle_by_people(first, "paid", FIRST)  # it is on the statement: the borrower has the money

    assert next_passes(loan).orders == []


def test_a_later_attempt_that_fails_opens_no_third_one():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, result_code="1")
    apply_verdict(first.pk, LATE, now=timezone.now())
    settle_by_people(first, "paid", FIRST)

    dead = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")
    later = timezone.now()
    apply_verdict(second.pk, dead, asked_at=later, now=later)

    assert DisbursementRequest.objects.get(pk=second.pk).status == AttemptStatus.FAILED
    assert next_passes(loan).orders == []


def test_an_earlier_approval_of_the_reopened_loan_is_worth_nothing_then():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, approval_cause=HoldReason.REOPENED)
    loan = decided(loan)  # asks for the approval
    boss = User.objects.create(username="boss")
    seen = {"amount": loan.net_disbursal_amount, "phone_number": loan.phone_number}
    approve_loan(loan.pk, by=boss, reason="it was undone", now=timezone.now(), **seen)
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.FAILED, hold_reason="")
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=NOW)
    apply_verdict(first.pk, LATE, now=timezone.now())
    settle_by_people(first, "paid", FIRST)

    reopen(loan.pk, {}, now=timezone.now())  # nobody has recorded it yet: it waits still

    assert next_passes(loan).orders == []
