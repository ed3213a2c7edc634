"""AUDIT 27: Mifos X itself shows that the waiting loan was disbursed before, and it is paid.

The hold "came back after it was disbursed" is set only if a poll of ours happened to see it away:
not within one interval, not before our first poll, not after a restored backup or on a second
installation (reliability.md S1, M18; design.md rule 15).
"""

from __future__ import annotations

import pytest

from disbursements.process import pay_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, disbursal_of, make_shop
from loans.models import LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "carries",
    [
        {"external_id": "loanpoll-0123456789abcdef01234567", "receipt_number": "SGH7K2M9QD"},
        {"external_id": "", "receipt_number": "CASH-17"},
    ],
    ids=["by us, and our book forgot", "by hand"],
)
@pytest.mark.parametrize("is_reversed", [True, False])
def test_a_loan_that_was_disbursed_before_waits_for_a_person(carries, is_reversed):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    other = make_attempt(make_loan(partner, status="disbursed"), status="completed")
    earlier = disbursal_of(other, is_reversed=is_reversed, **carries)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, disbursals=(earlier,))  # status 200 again
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert mpesa.orders == []
    row = LoanTracking.objects.get(pk=loan.pk)
    assert row.hold_reason or row.review_reason
