"""AUDIT 3: after a person corrected the credential and reset the breaker, the old one is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.resend import send_again
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from mpesa.shortcodes import open_breaker, reset_breaker
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mpesa_security_credential", "the-new-credential"),
        ("mpesa_initiator_name", "newapi"),
        ("mpesa_consumer_key", "new-key"),
        ("mpesa_consumer_secret", "new-secret"),
    ],
)
def test_a_pass_that_knows_the_old_credential_sends_nothing_more(column, value):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    shop = make_shop(partner, mifos, mpesa)  # a pass under way, or a worker's visit of a minute
    open_breaker("sandbox", "600000", cause="2001", now=timezone.now())
    Partner.objects.filter(pk=partner.pk).update(**{column: value})
    reset_breaker("sandbox", "600000")

    pay_loan(loan.pk, shop)

    assert mpesa.orders == []  # S20: each further try with the old one feeds the lock (8006)


def test_nor_does_it_send_an_attempt_again():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status="processing_disbursement")
    then = timezone.now() - timedelta(minutes=5)
    attempt = make_attempt(
        loan, status="submitting", sends_in_doubt=0, resend_at=then, first_sent_at=then
    )
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    shop = make_shop(partner, mifos, mpesa)
    Partner.objects.filter(pk=partner.pk).update(mpesa_security_credential="the-new-credential")

    send_again(attempt.pk, shop)

    assert mpesa.orders == []
