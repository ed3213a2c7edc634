"""AUDIT 36: a loan is held by rules that were changed while the pass ran, and never judged again.

A pass reads its partner once, and may poll for minutes. What it decides after that by the old rules
is dated after their change: to every later pass it looks as if it was decided by the new ones.
"""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanTracking
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.rules import touch_rules

pytestmark = pytest.mark.django_db


def as_read_by_a_pass() -> Partner:
    return Partner.objects.prefetch_related("products").get()


def raise_maximum(to: int) -> None:
    LoanProductAutoDisbursalConfig.objects.update(max_amount=Decimal(to))
    touch_rules(Partner.objects.get(), timezone.now())


def test_a_loan_that_is_decided_after_the_change_is_decided_by_the_new_rules():
    partner = make_partner()
    make_product(partner, max_amount=Decimal(10_000))
    make_loan(partner, loan_amount=Decimal(12_500), net_disbursal_amount=Decimal(12_500))
    began = as_read_by_a_pass()
    raise_maximum(15_000)

    decide_for(began)
    decide_for(as_read_by_a_pass())

    assert LoanTracking.objects.get().hold_reason == ""


def test_a_loan_that_is_read_again_after_the_change_is_judged_by_the_new_rules():
    partner = make_partner()
    make_product(partner, max_amount=Decimal(10_000))
    loan = make_loan(partner, loan_amount=Decimal(9_000), net_disbursal_amount=Decimal(9_000))
    decide_for(as_read_by_a_pass())
    mifos, mpesa = FakeMifos(), FakeMpesa()
    loan.loan_amount = loan.net_disbursal_amount = Decimal(12_500)
    mifos.know(loan)  # it was approved anew for more, and so was the product
    shop = make_shop(as_read_by_a_pass(), mifos, mpesa)
    raise_maximum(15_000)

    pay_loan(loan.pk, shop)
    decide_for(as_read_by_a_pass())

    assert LoanTracking.objects.get().hold_reason == ""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_decision_waits_for_a_change_that_is_dated_and_not_yet_committed():
    partner = make_partner()
    make_product(partner, max_amount=Decimal(10_000))
    make_loan(partner, loan_amount=Decimal(12_500), net_disbursal_amount=Decimal(12_500))
    is_dated = threading.Event()

    def change() -> None:
        with transaction.atomic():
            raise_maximum(15_000)
            is_dated.set()
            time.sleep(0.5)
        connection.close()

    changer = threading.Thread(target=change)
    changer.start()
    is_dated.wait(10)
    decide_for(as_read_by_a_pass())
    changer.join(10)
    decide_for(as_read_by_a_pass())

    assert LoanTracking.objects.get().hold_reason == ""
