"""AUDIT 102: an approval outlives the product and the approval in Mifos X that it was given for.

Audit 14 ends an approval with the principal, the net amount or the phone number. Between two polls,
or while the loan waits as failed for the next day, its approval in Mifos X may be undone, its
product changed and the loan approved anew for the same amount: what a person approved as one
product's loan is then paid as another's, of which nobody has been asked.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.approvals import approve_loan
from loans.models import LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db
YESTERDAY = timedelta(days=1)


def whole() -> Partner:
    return Partner.objects.prefetch_related("products").get()


@pytest.mark.parametrize("change", ["product_id", "approved_on"])
def test_what_is_another_loan_now_is_approved_anew(change):
    partner = make_partner()
    make_product(partner, auto_approve=False)
    make_product(partner, product_id=2, product_name="Land loan", auto_approve=False)
    loan = make_loan(partner, approved_on=timezone.localdate() - YESTERDAY)
    decide_for(whole())
    approve_loan(
        loan.pk,
        by=User.objects.create(username="bob"),
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        reason="known client",
        now=timezone.now(),
    )
    decide_for(whole())
    assert LoanTracking.objects.get().hold_reason == ""
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, **{change: {"product_id": 2, "approved_on": timezone.localdate()}[change]})

    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))

    assert mpesa.orders == []
    assert LoanTracking.objects.get().hold_reason == "needs_approval"
