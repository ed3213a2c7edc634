"""AUDIT 104: a charge is changed between the payment and its record, and the books differ, unseen.

M-Pesa paid the net of that moment. Before the loan is recorded (minutes, or days while Mifos X is
away) a charge at disbursement is added or waived: Mifos X books another net payout than the one
that left the account. The principal is the same, so nothing is said, and no comparison of the books
looks at what Mifos X takes for the net (reliability.md R2: to the cent).
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from disbursements.models import AttemptStatus
from disbursements.tests.test_record import Scene
from loans.models import LoanTracking, ReviewReason

pytestmark = pytest.mark.django_db


def test_a_person_is_told_and_the_payment_is_recorded():
    scene = Scene()
    scene.shows({"net_disbursal_amount": Decimal(12_000)}, scene.recorded())

    scene.record()

    assert scene.attempt.status == AttemptStatus.COMPLETED
    assert len(scene.mifos.orders) == 1
    loan = LoanTracking.objects.get(pk=scene.loan.pk)
    assert loan.review_reason == ReviewReason.BOOKS_DIFFER
    assert "12000" in loan.error_message.replace(",", "")


def test_nobody_is_called_when_it_is_the_same():
    scene = Scene()

    scene.record()

    assert LoanTracking.objects.get(pk=scene.loan.pk).review_reason == ""
