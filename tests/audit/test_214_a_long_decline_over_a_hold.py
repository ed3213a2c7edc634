"""AUDIT 214: a long reason for a decline writes the hold away that is kept beside it.

A decline keeps the hold that is there (audit 205), behind its own words, and both are cut at 300
characters. The page takes a reason of 250: of what a restore left, "release it once you know from
the M-PESA statement that it was not paid since", a few letters stand.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.restore import WHY_HELD, hold_unpaid
from disbursements.tests.making import make_loan, make_partner
from loans.approvals import decline_loan, request_approval
from loans.models import HoldReason, LoanTracking

pytestmark = pytest.mark.django_db


def test_whoever_releases_it_reads_of_both() -> None:
    loan = make_loan(make_partner())
    hold_unpaid(actor="jane", now=timezone.now())
    LoanTracking.objects.update(hold_reason=HoldReason.NEEDS_APPROVAL)
    request_approval(loan.pk, by="jane", now=timezone.now())

    achieng = User.objects.create(username="achieng")
    decline_loan(loan.pk, by=achieng, reason="no idea whose " * 17, now=timezone.now())

    hold = LoanTracking.objects.get().staff_hold
    assert WHY_HELD in hold
    assert hold.startswith("Declined by achieng: no idea")
