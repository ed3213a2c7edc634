"""AUDIT 42: a breach in our own book that is found while a person has paused all payouts is lost.

The pause stands under the person's name and reason, nobody is told, and whoever resumes after the
month end lets a book pay that cannot be trusted.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.alerts.conditions import review_standing
from disbursements.models import AlertKind
from disbursements.reconcile.coherence import Breach
from disbursements.reconcile.follow_up import stop_payouts
from partners.models import PayoutSwitch
from partners.pausing import pause_all

pytestmark = pytest.mark.django_db
BREACH = Breach(partner="umoja", loan_tracking_id=1, loan_id=1, problem="two live attempts")


def test_a_breach_takes_the_place_of_a_persons_pause_and_is_told():
    pause_all(by="otieno", reason="month end", now=timezone.now())

    stop_payouts([BREACH], now=timezone.now())

    switch = PayoutSwitch.objects.get()
    assert switch.is_paused
    assert "two live attempts" in switch.pause_reason
    assert "month end" in switch.pause_reason  # he must not think that it is gone
    assert AlertKind.ALL_PAUSED in {each.kind for each in review_standing(timezone.now())}


def test_a_breach_that_is_found_again_is_said_once():
    stop_payouts([BREACH], now=timezone.now())
    first = PayoutSwitch.objects.values().get()

    stop_payouts([BREACH], now=timezone.now())

    assert PayoutSwitch.objects.values().get() == first
