"""AUDIT 32: a POST that the gateway turned away, and whose second try never left, "never left".

The first one did leave, and a gateway's 401 is no proof (docs/decisions/0006). Taken back as
unsent, its loan gets a new id, and both may be paid.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.process import pay_loan
from disbursements.resend import take_back_unsent
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, make_shop
from loans.eligibility import Refusal
from loans.models import HoldReason, LoanStatus, LoanTracking
from mpesa.client import MpesaClient
from mpesa.tests.daraja import CONFIG, TOKEN, PlainStore, ScriptedWire, error, recorded
from partners.models import Partner
from wire import NoAnswer, NotSent

FRESH = recorded("oauth.success.wire")
TURNED_AWAY = error(401, "401.002.01", "Error Occurred - Invalid Access Token")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("posts", "tokens"),
    [
        ([TURNED_AWAY], [NoAnswer("no second token")]),
        ([TURNED_AWAY, NotSent("refused")], [FRESH]),
    ],
    ids=["token", "post"],
)
def test_what_was_turned_away_once_is_not_taken_back_as_unsent(posts: Any, tokens: Any) -> None:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos = FakeMifos()
    mifos.know(loan)
    wire: Any = ScriptedWire(posts=list(posts), tokens=list(tokens))
    mpesa: Any = MpesaClient(CONFIG, PlainStore(kept=TOKEN), wire)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))
    assert any(each["method"] == "POST" for each in wire.sent)

    paused = Refusal(hold=HoldReason.PARTNER_PAUSED)
    take_back_unsent(partner, gate=paused, now=timezone.now())

    attempt = DisbursementRequest.objects.get(loan_tracking=loan)
    assert attempt.status != AttemptStatus.FAILED
    assert LoanTracking.objects.get(pk=loan.pk).status == LoanStatus.PROCESSING
