"""AUDIT 100: a number that changed after approval is paid unconfirmed, once the loan was away.

"A number that changes after approval is how money is stolen: a person confirms it first." The hold
is forgotten when the loan leaves the waiting list, for whatever reason: an approval undone and
given again, by the hand that changed the number, or one "not found" of Mifos X. The new number is
our own by then, so nothing looks changed. (Changed while it is away, it is held.)
"""

from __future__ import annotations

import dataclasses

import pytest
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, detail_of, make_shop
from loans.models import LoanTracking
from loans.refresh import cancel, reopen
from loans.terms import columns_of_loan
from mifos.client import Loan
from partners.models import Partner

pytestmark = pytest.mark.django_db
OTHER = "0722000999"


def whole() -> Partner:
    return Partner.objects.prefetch_related("products").get()


def listed(loan: LoanTracking, **changes: object) -> Loan:
    detail = detail_of(loan, **changes)
    names = [field.name for field in dataclasses.fields(Loan)]
    return Loan(**{name: getattr(detail, name) for name in names})


@pytest.mark.parametrize("answer", ["undone", "not found"])
def test_the_new_number_waits_for_a_person_however_often_the_loan_comes_back(answer):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    client = mifos.clients[loan.client_id]
    mifos.clients[loan.client_id] = dataclasses.replace(client, mobile_number=OTHER)
    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))
    assert LoanTracking.objects.get().hold_reason == "phone_changed"

    now = timezone.now()
    cancel(loan.pk, listed(loan, status_id=100) if answer == "undone" else None, now=now)
    reopen(loan.pk, columns_of_loan(listed(loan)), now=timezone.now())
    decide_for(whole())
    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))

    assert mpesa.orders == []
    assert LoanTracking.objects.get().hold_reason == "phone_changed"
