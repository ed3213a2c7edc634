"""AUDIT 205: a decline is written over the hold that a restore left.

After a restore every unpaid loan is held (audit 190). A person pays many failed ones again, in
bulk, so that another must approve each. Before the next pass writes the hold, the other one
declines: "Declined by achieng" is written over "compare it with the statement first", and whoever
releases the loan later reads of a second thought and of no restore.
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
    # As pages/doing.py leaves it, until the next pass.
    LoanTracking.objects.update(hold_reason=HoldReason.NEEDS_APPROVAL)
    request_approval(loan.pk, by="jane", now=timezone.now())

    achieng = User.objects.create(username="achieng")
    decline_loan(loan.pk, by=achieng, reason="I do not know them", now=timezone.now())

    hold = LoanTracking.objects.get().staff_hold
    assert WHY_HELD in hold
    assert hold.startswith("Declined by achieng")
