"""AUDIT 132: a payment that two people settle is recorded in Mifos X on the day they settle it.

M-Pesa paid on Monday and stayed silent; on Thursday two people find the receipt on the statement.
The loan is then disbursed in Mifos X on Thursday: its interest begins three days late, and no
comparison of the books sees that the dates differ (the statement's day is never compared).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.record import Books, record_one
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMifos
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(days=3)


def test_it_is_recorded_on_the_day_it_was_sent() -> None:
    partner = make_partner()
    loan = make_loan(partner, status=LoanStatus.PROCESSING, approved_on=timezone.localdate(AGO))
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN, first_sent_at=AGO, last_sent_at=AGO)
    settle_by_people(attempt, "paid", "SGH7K2M9QD")
    assert DisbursementRequest.objects.get().status == AttemptStatus.PAID
    mifos: Any = FakeMifos()
    mifos.know(loan)

    record_one(attempt.pk, Books(partner=partner, mifos=mifos))

    assert [order.on for order in mifos.orders] == [timezone.localdate(AGO)]
