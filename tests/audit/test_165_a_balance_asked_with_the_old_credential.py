"""AUDIT 165: a question for the balance that left with the old credential stops the shortcode.

Audits 112 and 130 looked at payments and at questions about them. While the float is short the
balance is asked for every minute; a person corrects the credential, and the refusal of the old one,
which comes late, stops the shortcode of all its lenders though nothing is asked with it any more.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.floats import take_balance
from disbursements.tests.making import make_partner
from mpesa.addresses import open_request
from mpesa.models import MpesaRequest, RequestKind
from mpesa.results import BalanceResult
from mpesa.shortcodes import is_stopped

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
NOW = timezone.now()
ASKED_AT = NOW - timedelta(minutes=2)
CORRECTED_AT = NOW - timedelta(minutes=1)
REFUSED = BalanceResult(
    code="2001", description="initiator invalid", conversation_id="", utility_balance=None
)


def is_stopped_by_the_refusal() -> bool:
    address = open_request(
        kind=RequestKind.BALANCE,
        environment=PLACE[0],
        shortcode=PLACE[1],
        originator_conversation_id="",
        now=ASKED_AT,
    )
    take_balance(MpesaRequest.objects.get(pk=address.request_id), REFUSED, now=NOW)
    return is_stopped(*PLACE)


def test_the_refusal_of_the_old_one_stops_nothing() -> None:
    make_partner(mpesa_credential_set_at=CORRECTED_AT)

    assert not is_stopped_by_the_refusal()


@pytest.mark.parametrize("set_at", [None, ASKED_AT - timedelta(days=30)])
def test_it_stops_while_a_lender_has_the_credential_of_then(set_at: object) -> None:
    make_partner(mpesa_credential_set_at=CORRECTED_AT)
    make_partner(mpesa_credential_set_at=set_at)

    assert is_stopped_by_the_refusal()
