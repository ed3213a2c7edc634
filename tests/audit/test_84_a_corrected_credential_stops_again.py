"""AUDIT 84: a credential is corrected while a payment is on its way, and the old one's refusal
stops the shortcode anew.

Whoever corrects it lets the shortcode go. The payment that left before with the old one is then
refused, and that opens the breaker again, of every lender of the shortcode, though nothing will be
sent with the old one any more. Only the step that gets the token looked (2314551).
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.process import pay_loan
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from mpesa.client import MpesaCredentials
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.models import Partner
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
PLACE = ("sandbox", "600000")


@pytest.mark.parametrize("is_corrected", [True, False])
def test_the_refusal_of_the_old_one_stops_nothing(is_corrected: bool) -> None:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    mpesa.pay_answers.append(MpesaCredentials("the credential is refused", code="2001"))

    def meanwhile(_: Any) -> None:
        open_breaker(*PLACE, cause="another payment's refusal", now=timezone.now())
        if is_corrected:
            row = Partner.objects.get()
            row.mpesa_security_credential = "the-new-one"
            row.save()
        reset_breaker(*PLACE)

    mpesa.while_paying = meanwhile

    pay_loan(loan.pk, make_shop(whole(partner), mifos, mpesa))

    assert len(mpesa.orders) == 1
    assert is_stopped(*PLACE) != is_corrected
