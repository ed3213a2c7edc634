"""AUDIT 20: a payment that cannot leave for a day stays `submitting`, and nobody knows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.resend import take_back_unsent
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db


def test_a_payment_that_did_not_leave_for_two_days_is_in_somebodys_queue():
    now = timezone.now()
    loan = make_loan(status=LoanStatus.PROCESSING)
    make_attempt(
        loan,
        status=AttemptStatus.SUBMITTING,
        send_count=40,
        sends_in_doubt=0,
        resend_at=now,
        first_sent_at=now - timedelta(days=2),
        last_sent_at=now - timedelta(hours=1),
    )

    take_back_unsent(loan.partner, now=now, gate=None)

    assert LoanTracking.objects.get(pk=loan.pk).status == LoanStatus.FAILED
