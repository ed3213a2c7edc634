"""AUDIT 14: an approval outlives what the approver saw."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.tests.making import make_loan, make_partner, make_product
from loans.approvals import approve_loan
from loans.decide import decide_pending
from loans.models import LoanTracking
from loans.refresh import take_facts
from partners.models import Partner

pytestmark = pytest.mark.django_db
PHONE, OTHER = "254711111111", "254722222222"


def decided(loan: LoanTracking) -> LoanTracking:
    partner = Partner.objects.prefetch_related("products").get(pk=loan.partner_id)
    now = timezone.now()
    LoanTracking.objects.filter(pk=loan.pk).update(decided_at=None)
    decide_pending(partner, gate=None, now=now, today=timezone.localdate(now))
    return LoanTracking.objects.get(pk=loan.pk)


@pytest.fixture
def approved() -> LoanTracking:
    partner = make_partner()
    make_product(partner, auto_approve=False)
    loan = decided(make_loan(partner, phone_number=PHONE))
    assert loan.hold_reason == "needs_approval"
    approve_loan(
        loan.pk,
        by=User.objects.create(username="bob"),
        amount=loan.net_disbursal_amount,
        phone_number=PHONE,
        reason="known client",
        now=timezone.now(),
    )
    loan = decided(loan)
    assert loan.hold_reason == ""
    return loan


def test_an_approval_expires_for_good_when_the_phone_changes(approved):
    take_facts(approved.pk, {"phone_number": OTHER}, now=timezone.now())
    take_facts(approved.pk, {"phone_number": PHONE}, now=timezone.now())

    assert decided(approved).hold_reason != ""


def test_an_approval_expires_for_good_when_the_amount_changes(approved):
    was = approved.net_disbursal_amount
    take_facts(approved.pk, {"net_disbursal_amount": Decimal(9_000)}, now=timezone.now())
    take_facts(approved.pk, {"net_disbursal_amount": was}, now=timezone.now())

    assert decided(approved).hold_reason != ""


def test_an_approval_expires_when_the_principal_changes(approved):
    # The net may stay while fees change: the borrower would owe ten times as much.
    take_facts(approved.pk, {"loan_amount": Decimal(125_000)}, now=timezone.now())

    assert decided(approved).hold_reason != ""


def test_an_approval_does_not_lift_a_sharing_that_came_later(approved):
    make_loan(approved.partner, phone_number=PHONE)  # of another client

    assert decided(approved).hold_reason == "phone_shared"
