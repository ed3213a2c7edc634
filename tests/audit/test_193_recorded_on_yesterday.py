"""AUDIT 193: a payment of this night is recorded in Mifos X on the day before.

A worker asks for Mifos X's business date once a visit, and a visit lasts up to two minutes. What is
paid in the first minutes of a day is recorded on the day that is over: interest runs a day longer
than the borrower had the money, and no comparison sees it, for it trusts the date that we told.
(The same as audit 166, for the books instead of the payments.)
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.record import Books, record_one
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMifos
from loans.eligibility import start_of_day
from loans.models import LoanStatus

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate()
MIDNIGHT = start_of_day(TODAY + timedelta(days=1))


def test_what_is_paid_after_midnight_is_recorded_on_its_own_day() -> None:
    with time_machine.travel(MIDNIGHT - timedelta(seconds=30), tick=True) as clock:
        partner, mifos = make_partner(), FakeMifos()
        books = Books(partner=partner, mifos=mifos)  # type: ignore[arg-type]
        assert books.today() == TODAY
        clock.move_to(MIDNIGHT + timedelta(seconds=10))
        mifos.on = timezone.localdate()
        loan = make_loan(
            partner,
            status=LoanStatus.PROCESSING,
            mpesa_receipt_number="SGH7K2M9QD",
            approved_on=TODAY,
        )
        now = timezone.now()
        attempt = make_attempt(
            loan,
            status=AttemptStatus.PAID,
            next_record_at=now,
            transaction_completed_at=now - timedelta(seconds=5),
        )
        mifos.know(loan)

        record_one(attempt.pk, books)

        [order] = mifos.orders
        assert order.on == TODAY + timedelta(days=1)
