"""AUDIT 217: a receipt that was taken back from several loans meets its own number.

It was numbered by how many there are. One of them got its own receipt since, so the next number was
taken: the database refused it, and nobody could take the receipt back.
"""

from __future__ import annotations

import pytest

from disbursements.models import AttemptStatus
from disbursements.receipts import struck
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from partners.models import Partner

pytestmark = pytest.mark.django_db
RECEIPT = "SGH7K2M9QD"


def hold(partner: Partner, receipt: str) -> None:
    loan = make_loan(partner, status=LoanStatus.DISBURSED, mpesa_receipt_number=receipt)
    make_attempt(loan, status=AttemptStatus.COMPLETED, transaction_receipt=receipt)


def test_each_gets_a_number_that_is_free() -> None:
    partner = make_partner()
    attempt = make_attempt(
        make_loan(partner, status=LoanStatus.DISBURSED, mpesa_receipt_number=RECEIPT),
        status=AttemptStatus.COMPLETED,
        transaction_receipt=RECEIPT,
    )
    assert struck(attempt) == f"NOT-{RECEIPT}"

    hold(partner, f"NOT-{RECEIPT}-2")
    assert struck(attempt) == f"NOT-{RECEIPT}"

    hold(partner, f"NOT-{RECEIPT}")
    assert struck(attempt) == f"NOT-{RECEIPT}-3"
