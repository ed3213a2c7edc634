"""The secret places where Daraja leaves its answers."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest

from mpesa.addresses import (
    FORBIDDEN_WORDS,
    KINDS,
    REQUEST_KINDS,
    SLUGS,
    find_request,
    new_token,
    open_request,
)
from mpesa.models import CallbackKind, MpesaRequest, RequestKind

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def opened(kind: RequestKind = RequestKind.PAYMENT, our_id: str = "600992-1"):
    return open_request(
        kind=kind,
        environment="sandbox",
        shortcode="600992",
        originator_conversation_id=our_id,
        now=NOW,
    )


def token_in(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "result", "timeout"),
    [
        (RequestKind.PAYMENT, "payout-result", "payout-timeout"),
        (RequestKind.STATUS, "status-result", "status-timeout"),
        (RequestKind.BALANCE, "balance-result", "balance-timeout"),
    ],
)
def test_each_kind_of_request_has_its_own_two_addresses(settings, kind, result, timeout):
    settings.PUBLIC_BASE_URL = "https://pay.example.co.ke/"

    address = opened(kind)

    token = token_in(address.result_url)
    assert address.result_url == f"https://pay.example.co.ke/api/callbacks/{result}/{token}"
    assert address.timeout_url == f"https://pay.example.co.ke/api/callbacks/{timeout}/{token}"
    assert len(token) >= 43


@pytest.mark.django_db
def test_the_request_is_written_down_and_the_secret_is_not():
    address = opened()

    row = MpesaRequest.objects.get(pk=address.request_id)
    assert (row.kind, row.shortcode, row.sent_at) == ("payment", "600992", NOW)
    assert row.originator_conversation_id == "600992-1"
    assert token_in(address.result_url) not in str(row.__dict__)
    assert token_in(address.result_url) not in repr(address)


@pytest.mark.django_db
@pytest.mark.parametrize("callback", CallbackKind)
@pytest.mark.parametrize("kind", RequestKind)
def test_a_request_is_found_only_by_callbacks_of_its_kind(kind, callback):
    address = opened(kind)

    found = find_request(callback, token_in(address.result_url))

    assert (found is not None) == (REQUEST_KINDS[callback] == kind)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "x", "\udcff", "é" * 1000, "\0"])
def test_a_wrong_token_finds_nothing(token):
    opened()

    assert find_request(CallbackKind.PAYMENT_RESULT, token) is None


@pytest.mark.django_db
def test_the_stored_digest_is_no_token():
    address = opened()
    row = MpesaRequest.objects.get(pk=address.request_id)

    assert find_request(CallbackKind.PAYMENT_RESULT, row.token_digest) is None


@pytest.mark.parametrize("word", FORBIDDEN_WORDS)
def test_a_secret_that_spells_a_forbidden_word_is_not_used(monkeypatch, word):
    made = iter([f"aa{word}bb", f"AA{word.upper()}BB", "harmless"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: next(made))

    assert new_token() == "harmless"


def test_no_slug_holds_a_forbidden_word_and_each_names_one_kind():
    assert not [slug for slug in KINDS for word in FORBIDDEN_WORDS if word in slug]
    assert {KINDS[SLUGS[kind]] for kind in CallbackKind} == set(CallbackKind)
