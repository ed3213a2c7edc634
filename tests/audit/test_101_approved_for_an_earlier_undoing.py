"""AUDIT 101: a loan is paid on an approval that was given before it was paid in cash.

Mifos X shows that it was disbursed by hand and undone; a person approves that it is paid all the
same. It waits on (the daily limit, a pause, the next pass), is disbursed by hand once more, and
that is undone, too, between two polls. The approval answered the first one; the second nobody saw.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import DisbursementRequest
from disbursements.process import pay_loan
from disbursements.resend import send_again
from disbursements.serve import decide_for
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, disbursal_of, make_shop
from loans.approvals import approve_loan
from loans.models import LoanTracking
from mifos.client import Disbursal
from mpesa.client import MpesaNotSent
from partners.models import Partner

pytestmark = pytest.mark.django_db


def whole() -> Partner:
    return Partner.objects.prefetch_related("products").get(slug="umoja")


def by_hand(transaction_id: int) -> Disbursal:
    other = make_attempt(make_loan(status="disbursed"), status="completed")
    return disbursal_of(
        other,
        transaction_id=transaction_id,
        is_reversed=True,
        external_id="",
        receipt_number=f"CASH-{transaction_id}",
    )


@pytest.fixture
def approved() -> tuple[LoanTracking, FakeMifos]:
    partner = make_partner(slug="umoja")
    make_product(partner)
    loan = make_loan(partner)
    mifos = FakeMifos()
    mifos.know(loan, disbursals=(by_hand(70),))
    pay_loan(loan.pk, make_shop(whole(), mifos, FakeMpesa()))
    held = LoanTracking.objects.get(pk=loan.pk)
    assert held.hold_reason == "reopened"
    approve_loan(
        loan.pk,
        by=User.objects.create(username="bob"),
        amount=held.net_disbursal_amount,
        phone_number=held.phone_number,
        reason="cash was given back",
        now=timezone.now(),
    )
    decide_for(whole())
    return held, mifos


def test_a_second_undoing_wants_a_second_look(approved):
    loan, mifos = approved
    mifos.know(loan, disbursals=(by_hand(70), by_hand(71)))
    mpesa = FakeMpesa()

    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))

    assert mpesa.orders == []
    assert LoanTracking.objects.get(pk=loan.pk).hold_reason == "reopened"


def test_what_was_approved_is_paid(approved):
    loan, mifos = approved
    mpesa = FakeMpesa()

    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))

    assert len(mpesa.orders) == 1


def test_nor_is_it_sent_again_under_its_own_id(approved):
    loan, mifos = approved
    mpesa = FakeMpesa()
    mpesa.pay_answers.append(MpesaNotSent("the line is down"))
    pay_loan(loan.pk, make_shop(whole(), mifos, mpesa))
    DisbursementRequest.objects.filter(loan_tracking=loan).update(resend_at=timezone.now())
    mifos.know(loan, disbursals=(by_hand(70), by_hand(71)))
    mpesa = FakeMpesa()

    [attempt] = DisbursementRequest.objects.filter(loan_tracking=loan)
    send_again(attempt.pk, make_shop(whole(), mifos, mpesa))

    assert mpesa.orders == []
