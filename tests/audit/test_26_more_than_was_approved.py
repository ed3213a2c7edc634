"""AUDIT 26: Mifos X would refuse the record, and its own answer says so before the payment."""

from __future__ import annotations

from decimal import Decimal

import pytest

from disbursements.process import pay_loan
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


def test_a_principal_above_what_was_approved_is_held():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, loan_amount=Decimal(12_500))
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, approved_principal=Decimal(10_000))  # contracts/mifos.md 5.2 rows 5 and 15
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert mpesa.orders == []
    assert LoanTracking.objects.get(pk=loan.pk).hold_reason != ""
