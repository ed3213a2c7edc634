"""AUDIT 166: a pass pays on a day of which it never asked whether Mifos X takes a disbursement.

Holidays, days off and the first repayment are compared with the business date that was read when
the pass, or a worker's visit, began. A long queue at a slow pace goes on after midnight by
yesterday's date: the borrower is paid on a day on which Mifos X refuses the record for good, and
the books differ until somebody bends a date there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.eligibility import start_of_day
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
TODAY = timezone.localdate()
MIDNIGHT = start_of_day(TODAY + timedelta(days=1))


def paid_by_a_pass(*, at: datetime) -> int:
    """Open a pass a minute before midnight; return what it pays at `at`. Mifos X takes the loan
    today for the last time."""
    with time_machine.travel(MIDNIGHT - timedelta(minutes=1), tick=True) as clock:
        partner = make_partner()
        make_product(partner)
        loan = make_loan(partner, approved_on=TODAY)
        mifos, mpesa = FakeMifos(), FakeMpesa()
        mifos.know(loan, first_repayment_date=TODAY)
        decide_for(whole(partner))
        shop = make_shop(whole(partner), mifos, mpesa)
        clock.move_to(at)
        mifos.on = timezone.localdate()
        pay_loan(loan.pk, shop)
        assert mpesa.orders or shop.is_out_of_time  # the report says that the next pass goes on
        return len(mpesa.orders)


def test_it_pays_before_midnight() -> None:
    assert paid_by_a_pass(at=MIDNIGHT - timedelta(seconds=30)) == 1


def test_it_pays_nothing_after_midnight() -> None:
    assert paid_by_a_pass(at=MIDNIGHT + timedelta(seconds=30)) == 0
