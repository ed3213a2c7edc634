"""AUDIT 15: same receipt = ours (contracts/mifos.md 7.3), also if Fineract makes external ids."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.record import Books, record_one
from disbursements.tests.making import make_attempt, make_loan
from disbursements.tests.peers import FakeMifos, disbursal_of
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db


def test_a_record_made_by_hand_with_our_receipt_is_ours():
    loan = make_loan(status=LoanStatus.PROCESSING, mpesa_receipt_number="SGH7K2M9QD")
    attempt = make_attempt(loan, status=AttemptStatus.PAID, next_record_at=timezone.now())
    # The refused record was entered in the web app, with the receipt; the server is set to
    # `enable-auto-generated-external-id`.
    by_hand = disbursal_of(attempt, external_id="6a9e0a4e-0d7c-4f55-8a9f-2f9d3b0c1e11")
    mifos: Any = FakeMifos()
    mifos.know(loan, status_id=300, disbursals=(by_hand,))

    assert record_one(attempt.pk, Books(partner=loan.partner, mifos=mifos))

    assert LoanTracking.objects.get(pk=loan.pk).status == LoanStatus.DISBURSED
