"""No request breaks a page because PostgreSQL knows no NUL."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.addresses import open_request
from mpesa.models import MpesaCallback, RequestKind

pytestmark = pytest.mark.django_db

ADDRESSES = [
    "/loan-tracking?q=%00",
    "/loan-tracking?partner=a%00b",
    "/loan-tracking?q=%ED%A0%80",
    "/charts?partner=%00",
    "/api/loans?partner=%00",
    "/admin/loans/loantracking/?q=%00",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_nul_in_a_query_is_refused_in_words(address: str, admin_client: Client) -> None:
    make_loan()
    admin_client.raise_request_exception = False

    answer = admin_client.get(address)

    assert answer.status_code == (200 if "%ED" in address else 400)


def test_a_nul_in_a_key_is_refused_in_words() -> None:
    answer = Client().post(
        "/api/mifos/fetch-pending-loans", headers={"authorization": "Bearer a\0b"}
    )

    assert answer.status_code == 400
    assert answer.json()["success"] is False


@pytest.mark.parametrize(
    "body",
    [
        b"\x00",
        b'{"Result": {"ResultCode": "1\\u0000"}}',
        b'{"Result": {"ResultCode": 1, "a": "\x00"}}',
    ],
)
def test_a_nul_in_a_callback_is_kept_and_read_once(body: bytes) -> None:
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING))
    address = open_request(
        kind=RequestKind.PAYMENT,
        environment=attempt.mpesa_environment,
        shortcode=attempt.mpesa_shortcode,
        originator_conversation_id=attempt.originator_conversation_id,
        now=timezone.now(),
    )

    answer = Client().post(urlsplit(address.result_url).path, body, content_type="application/json")

    assert answer.status_code == 200
    kept = MpesaCallback.objects.get()
    assert (kept.body, bool(kept.applied_at)) == (body.decode(), True)
