"""AUDIT 30: what is open since yesterday may be paid today, and counts to no day's limit (S17)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.claiming import Terms, claim
from disbursements.models import TriggeredBy
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.eligibility import Refusal
from loans.models import HoldReason
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown"])
def test_open_and_paid_attempts_together_keep_the_daily_limit(status):
    partner = make_partner(daily_limit=12_500)
    make_product(partner)
    now = timezone.now()
    # Sent at 23:59; two "not found" later the same id is sent again, and paid, today (rule 6).
    old = make_loan(partner, status="processing_disbursement")
    make_attempt(old, status=status, created_at=now - timedelta(days=1))
    loan = make_loan(partner)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)

    claimed = claim(
        loan.pk,
        seen=partner,
        terms=Terms.of(loan),
        today=timezone.localdate(now),
        triggered_by=TriggeredBy.SCHEDULE,
        now=now,
    )

    assert isinstance(claimed, Refusal)
    assert claimed.hold == HoldReason.DAILY_LIMIT
