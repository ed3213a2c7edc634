"""AUDIT 64: paying many loans again makes "needs approval" of a loan that needs a graver one.

A loan that came back after it was disbursed, or whose phone number changed after approval, must be
confirmed as that, and an approval lifts no graver hold than the one it answers. The second person
whom a bulk retry asks for takes the cause's place: the approver is told "pays many loans again",
and the mark that keeps the loan from ever being paid by itself is gone for good.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.pages.actions import KINDS
from disbursements.pages.cases import read_cases
from disbursements.pages.doing import Order, do
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.models import HoldReason, LoanStatus, LoanTracking
from tests.audit.test_31_mends_of_the_first import decided

pytestmark = pytest.mark.django_db
GRAVER = [HoldReason.REOPENED, HoldReason.PHONE_CHANGED]


@pytest.mark.parametrize("cause", GRAVER)
def test_the_approver_is_asked_about_the_graver_cause(cause: HoldReason) -> None:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.FAILED, approval_cause=cause)
    make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040")
    otieno = User.objects.create(username="otieno")
    [case] = read_cases([LoanTracking.objects.get(pk=loan.pk)], "otieno")
    order = Order(
        user=otieno,
        reason="all of last night",
        now=timezone.now(),
        is_one_of_many=True,
        needs_second_person=True,
    )

    do(KINDS["retry"], case, order, seen=case.seen)

    loan = decided(loan)
    assert (loan.approval_cause, loan.hold_reason) == (cause, cause)
    request = loan.approvals.get(state="requested")
    assert (request.requested_by, request.cause) == ("otieno", cause)
