"""The exchanges of a loan: all that is kept of them, in order, and nothing that stays hidden."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.models import DisbursementRequest
from disbursements.pages.exchanges import exchanges_of
from disbursements.tests.making import make_attempt, make_loan
from mpesa.models import CallbackKind, MpesaCallback, MpesaRequest, RequestKind
from partners.models import MifosExchange

pytestmark = pytest.mark.django_db

BODY = '{"Result": {"ReceiverPartyPublicName": "254712345678 - Achieng Mary"}}'


@pytest.fixture
def attempt() -> DisbursementRequest:
    return make_attempt(make_loan(), status="unknown")


def ask(attempt: DisbursementRequest, kind: RequestKind, *, seconds: int = 0) -> MpesaRequest:
    return MpesaRequest.objects.create(
        kind=kind,
        environment="sandbox",
        shortcode="600000",
        originator_conversation_id=attempt.originator_conversation_id,
        conversation_id=f"AG_{kind}",
        token_digest=f"digest-{kind}",
        sent_at=timezone.now() + timedelta(seconds=seconds),
    )


def receive(request: MpesaRequest, kind: CallbackKind, *, seconds: int, **columns: object) -> None:
    at = timezone.now() + timedelta(seconds=seconds)
    MpesaCallback.objects.create(
        request=request, kind=kind, body=BODY, received_at=at, **{"outcome": "applied", **columns}
    )


def test_what_was_sent_and_what_came_stand_in_order(attempt: DisbursementRequest):
    paid = ask(attempt, RequestKind.PAYMENT)
    ask(attempt, RequestKind.STATUS, seconds=60)
    receive(paid, CallbackKind.PAYMENT_TIMEOUT, seconds=50)
    receive(paid, CallbackKind.PAYMENT_RESULT, seconds=90, outcome="", is_quarantined=True)

    lines = exchanges_of(attempt.loan_tracking, [attempt])

    assert [(line.what, line.way, line.told) for line in lines] == [
        ("B2C result", "From M-Pesa", "not read yet, from an address not Safaricom's"),
        ("Status query", "To M-Pesa", "no result yet"),
        ("B2C queue time-out", "From M-Pesa", "applied"),
        ("B2C payment", "To M-Pesa", "no result yet"),
    ]


def tell_mifos(attempt: DisbursementRequest, **columns: object) -> None:
    loan = attempt.loan_tracking
    MifosExchange.objects.create(
        partner=loan.partner,
        method="POST",
        path=f"/loans/{loan.loan_id}?command=disburse",
        started_at=timezone.now(),
        **{"loan_id": loan.loan_id, "milliseconds": 1200, "ending": "answered", **columns},
    )


def test_what_went_to_mifos_x_stands_among_them(attempt: DisbursementRequest):
    tell_mifos(attempt, http_status=200, excerpt='{"loanId": 1}')
    tell_mifos(attempt, http_status=403, excerpt="no such right for 254712345678")
    tell_mifos(attempt, ending="no_answer")
    tell_mifos(attempt, loan_id=999_999)

    lines = exchanges_of(attempt.loan_tracking, [attempt])

    assert [(line.way, line.told, line.took) for line in lines] == [
        ("To Mifos X", "No answer", "1.2 s"),
        ("To Mifos X", "HTTP 403: no such right for 0712 ***678", "1.2 s"),
        ("To Mifos X", "HTTP 200", "1.2 s"),
    ]


def test_the_page_shows_no_body_and_no_whole_phone(client: Client, attempt: DisbursementRequest):
    client.force_login(User.objects.create_superuser("root"))
    told = "ignored: 254712345678 was paid"
    receive(ask(attempt, RequestKind.PAYMENT), CallbackKind.PAYMENT_RESULT, seconds=9, outcome=told)

    html = client.get(f"/loan-tracking/{attempt.loan_tracking_id}").content.decode()

    assert "ignored: 0712 ***678 was paid" in html
    assert "Achieng Mary" not in html.split("exchanges-title")[1].split("story-title")[0]
    assert "digest-payment" not in html
