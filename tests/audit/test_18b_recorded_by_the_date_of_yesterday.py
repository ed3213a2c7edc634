"""AUDIT 18b: what is paid after midnight is recorded on the day before.

A round of recording, and a worker's visit, ask Mifos X for its business date once. What M-Pesa pays
in the first minutes of a day is then dated by yesterday's calendar ("Mifos X's is behind"): the
loan's interest begins a day too early, and no comparison of the books sees it, for it believes the
date that was told. Audit 166 saw to what is paid by an old business date, and not to this.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from disbursements.record import Books, record_one
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMifos
from loans.eligibility import start_of_day
from loans.models import LoanStatus

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate()
MIDNIGHT = start_of_day(TODAY + timedelta(days=1))


@pytest.mark.parametrize("seconds", [-20, 20])
def test_it_is_recorded_on_the_day_it_was_paid(seconds: int) -> None:
    partner = make_partner()
    mifos: Any = FakeMifos(on=TODAY)
    books = Books(partner=partner, mifos=mifos)
    with time_machine.travel(MIDNIGHT - timedelta(seconds=30), tick=False) as clock:
        assert books.today() == TODAY  # for another loan
        clock.move_to(MIDNIGHT + timedelta(seconds=seconds))
        mifos.on = timezone.localdate()
        loan = make_loan(
            partner,
            status=LoanStatus.PROCESSING,
            mpesa_receipt_number="SGH7K2M9QD",
            approved_on=TODAY - timedelta(days=1),
        )
        attempt = make_attempt(loan, status="paid", next_record_at=timezone.now())
        mifos.know(loan)

        record_one(attempt.pk, books)

        assert [order.on for order in mifos.orders] == [timezone.localdate()]
