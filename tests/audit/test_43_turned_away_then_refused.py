"""AUDIT 43: a send that was turned away (401) counts as proof that it moved nothing.

Its attempt is not withdrawn as unsent for that (docs/decisions/0006); but once the credential is
corrected, wrongly, and the same id is refused, the attempt fails without M-Pesa's own word. A
person pays it again under a new id, and the first send may have landed.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.process import pay_loan
from disbursements.resend import send_again
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from mpesa.client import MpesaCredentials, MpesaError, MpesaRefused, MpesaThrottled
from mpesa.shortcodes import reset_breaker
from partners.models import Partner

TURNED_AWAY = [
    MpesaCredentials("a token issued a moment ago is rejected", code="401.002.01"),
    MpesaThrottled("Spike arrest violation", code="500.003.02"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("answer", TURNED_AWAY, ids=["refused_token", "throttled"])
def test_what_was_turned_away_and_then_refused_is_asked_about(answer: MpesaError):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    mpesa.pay_answers.extend(
        [
            answer,
            MpesaRefused("Bad Request - Invalid InitiatorName", code="400.002.02"),
        ]
    )
    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))
    reset_breaker("sandbox", "600000")
    DisbursementRequest.objects.update(resend_at=timezone.now() - timedelta(minutes=1))

    send_again(DisbursementRequest.objects.get().pk, make_shop(partner, mifos, mpesa))

    assert len(mpesa.orders) == 2
    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
