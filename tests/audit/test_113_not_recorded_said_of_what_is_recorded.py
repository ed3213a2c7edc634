"""AUDIT 113: a disbursed loan says that Mifos X did not take its record yet, for ever.

One recorder sleeps past its lease, or the queue takes its job over, and another records the payment
and verifies it. The first one's own POST then times out, and it writes why it failed on a loan that
is over: its page and the list contradict Mifos X, and nothing takes the words back.
"""

from __future__ import annotations

from typing import Any

import pytest

from disbursements.models import AttemptStatus
from disbursements.record import Books, record_one
from disbursements.shown import complete
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMifos, disbursal_of
from loans.models import LoanStatus, LoanTracking
from mifos.client import MifosUncertain

pytestmark = pytest.mark.django_db


def test_who_is_late_says_nothing_of_a_loan_that_is_recorded() -> None:
    partner = make_partner()
    loan = make_loan(partner, status=LoanStatus.PROCESSING, mpesa_receipt_number="SGH7K2M9QD")
    attempt = make_attempt(loan, status=AttemptStatus.PAID)
    type(attempt).objects.update(next_record_at=attempt.paid_at)

    class AnotherIsFaster(FakeMifos):
        def disburse(self, order: Any) -> Any:
            complete(attempt, disbursal_of(attempt))
            raise MifosUncertain("Mifos X gave no answer")

    mifos: Any = AnotherIsFaster()
    mifos.know(loan)

    record_one(attempt.pk, Books(partner=partner, mifos=mifos))

    row = LoanTracking.objects.get()
    assert (row.status, row.error_message) == (LoanStatus.DISBURSED, "")
