"""AUDIT 185: a credential that is dated in the future keeps a shortcode from ever being stopped.

It was set by a clock that was ahead, and is set right since (reliability.md 2.5 Y1). Until
that time comes, all that is sent counts as sent "before the correction": a refused credential stops
nothing, each pass sends with it again, and M-Pesa locks the operator (rule 12, S20).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.floats import take_balance
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from mpesa.addresses import open_request
from mpesa.models import CallbackKind, MpesaRequest, RequestKind
from mpesa.shortcodes import is_stopped
from tests.audit.test_165_a_balance_asked_with_the_old_credential import PLACE, REFUSED

pytestmark = pytest.mark.django_db
NOW = timezone.now()
TOMORROW = NOW + timedelta(days=1)


def test_a_payment_that_is_refused_stops_the_shortcode() -> None:
    partner = make_partner(mpesa_credential_set_at=TOMORROW)
    attempt = make_attempt(make_loan(partner, status=LoanStatus.PROCESSING), last_sent_at=NOW)
    request = ask(attempt, at=NOW)

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, failure(attempt, "2001")).pk)

    assert is_stopped(*PLACE)


def test_a_balance_question_that_is_refused_stops_it() -> None:
    make_partner(mpesa_credential_set_at=TOMORROW)
    address = open_request(
        kind=RequestKind.BALANCE,
        environment=PLACE[0],
        shortcode=PLACE[1],
        originator_conversation_id="",
        now=NOW,
    )

    take_balance(MpesaRequest.objects.get(pk=address.request_id), REFUSED, now=timezone.now())

    assert is_stopped(*PLACE)
