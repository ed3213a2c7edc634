"""AUDIT 25: one operator pays a loan above the threshold again, on the approval of its last payout.

reliability.md O11: a new attempt above the limit needs a second person.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.retry import retry_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.decide import decide_pending
from loans.models import ApprovalState, LoanApproval, LoanStatus, LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


def test_paying_again_above_the_threshold_asks_another_person():
    partner = make_partner(approval_threshold=5_000)
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.FAILED)
    make_attempt(loan, status="failed", result_code="2040")
    now = timezone.now()
    LoanApproval.objects.create(
        loan_tracking=loan,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        state=ApprovalState.APPROVED,
        requested_by="system",
        requested_at=now,
        decided_by=User.objects.create(username="bob"),
        decided_at=now,
    )

    retry_loan(loan.pk, actor="alice", reason="try again", now=now)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    decide_pending(partner, gate=None, now=now, today=timezone.localdate(now))

    assert LoanTracking.objects.get(pk=loan.pk).hold_reason == "needs_approval"
