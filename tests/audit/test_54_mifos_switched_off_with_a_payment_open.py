"""AUDIT 54: "is_mifos_configured" is unticked while a payment is open: no pass looks at it again.

Its M-Pesa settings may be taken away ("what was sent before is still seen through"), and it may
be switched off; but without this tick no pass serves it. A lost callback is never asked about,
nobody is called, and what is paid is not recorded (reliability.md O2, L2).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, TriggeredBy
from disbursements.passes import run_sync, serving
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking, ReviewReason
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own


@pytest.mark.parametrize("is_active", [True, False])
def test_an_open_payment_is_seen_through(is_active: bool) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    partner = make_partner(is_mpesa_configured=False)  # so that nothing is asked over HTTP
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(loan, status=AttemptStatus.UNKNOWN, first_sent_at=long_ago, last_sent_at=long_ago)
    partner = Partner.objects.get()
    partner.is_mifos_configured, partner.is_active = False, is_active
    partner.full_clean()  # and every door takes it
    partner.save()

    run_sync(triggered_by=TriggeredBy.SCHEDULE)

    assert partner in serving()
    assert LoanTracking.objects.get().review_reason == ReviewReason.OUTCOME_UNKNOWN
