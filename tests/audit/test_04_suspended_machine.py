"""AUDIT 4: a machine suspended between claim and send: its monotonic clock stands still."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.sending import send
from disbursements.tests.peers import FakeMpesa
from disbursements.tests.test_sending import claimed, fresh_of

pytestmark = pytest.mark.django_db


def test_what_was_claimed_an_hour_ago_by_the_wall_clock_never_leaves():
    claim, mpesa = claimed(), FakeMpesa()
    # CLOCK_MONOTONIC does not run while Linux sleeps or a hypervisor holds it; the wall clock does.
    an_hour_ago = timezone.now() - timedelta(hours=1)
    columns = {"created_at": an_hour_ago, "first_sent_at": an_hour_ago, "last_sent_at": an_hour_ago}
    DisbursementRequest.objects.filter(pk=claim.attempt.pk).update(**columns)
    claim.attempt.refresh_from_db()

    send(claim, fresh=fresh_of(claim.attempt.loan_tracking), mpesa=mpesa)

    assert mpesa.orders == []
    attempt = DisbursementRequest.objects.get(pk=claim.attempt.pk)
    assert (attempt.status, attempt.sends_in_doubt) == (AttemptStatus.SUBMITTING, 0)
