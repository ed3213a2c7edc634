"""AUDIT 12: one row with an unknown word stops its whole partner (D8, K29, L6)."""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.tests.making import make_loan, make_partner, make_product
from loans.decide import decide_pending
from loans.models import LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("column", ["mifos_obstacle", "approval_cause"])
def test_a_loan_that_cannot_be_judged_is_held_alone(column):
    partner = make_partner()
    make_product(partner)
    # Written by a newer version before its deployment was taken back, or by hand.
    make_loan(partner, **{column: "a_hold_of_the_next_version"})
    good = make_loan(partner, hold_reason="partner_paused")
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    now = timezone.now()

    decide_pending(partner, gate=None, now=now, today=timezone.localdate(now))

    assert LoanTracking.objects.get(pk=good.pk).hold_reason == ""
    assert LoanTracking.objects.exclude(pk=good.pk).get().hold_reason != ""
