"""AUDIT 50: a POST is turned away (401), and its second try, within the same send, is refused.

A 401 is no proof that nothing moved (docs/decisions/0006, audits 32 and 43). But the client's own
second try ends in the gateway's refusal, which counts for the whole send: the attempt fails without
M-Pesa's own word, and a person pays the loan again under a new id.
"""

from __future__ import annotations

from typing import Any

import pytest

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.process import pay_loan
from disbursements.retry import retry_refusal
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, make_shop
from loans.models import LoanTracking
from mpesa.client import MpesaClient
from mpesa.tests.daraja import CONFIG, TOKEN, PlainStore, ScriptedWire, error, recorded
from partners.models import Partner

TURNED_AWAY = error(401, "401.002.01", "Error Occurred - Invalid Access Token")
REFUSED = error(400, "400.002.02", "Bad Request - Invalid InitiatorName")


@pytest.mark.django_db
def test_what_was_turned_away_and_then_refused_in_one_send_is_asked_about() -> None:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos = FakeMifos()
    mifos.know(loan)
    wire: Any = ScriptedWire(posts=[TURNED_AWAY, REFUSED], tokens=[recorded("oauth.success.wire")])
    mpesa: Any = MpesaClient(CONFIG, PlainStore(kept=TOKEN), wire)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert len(wire.posted) == 2
    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
    assert retry_refusal(LoanTracking.objects.get(pk=loan.pk)) != ""
