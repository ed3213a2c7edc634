"""Safaricom's door: who may knock, what is kept, and that it always gets its answer."""

from __future__ import annotations

import json
import logging

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone

from disbursements import callbacks
from disbursements.doors import is_from_safaricom, source_address
from mpesa.addresses import KINDS, open_request
from mpesa.models import CallbackKind, MpesaCallback, RequestKind

pytestmark = pytest.mark.django_db

BODY = '{"Result": {"ResultCode": 0}}'
SAFARICOM = "196.201.214.200"


@pytest.fixture(autouse=True)
def _fresh_warnings():
    cache.clear()


@pytest.fixture
def applied(monkeypatch) -> list[int]:
    """The callbacks handed on, in order."""
    seen: list[int] = []
    monkeypatch.setattr(callbacks, "apply_callback", seen.append)
    return seen


@pytest.fixture
def path() -> str:
    """The path of a payout's result address, as Safaricom was given it."""
    address = open_request(
        kind=RequestKind.PAYMENT,
        environment="sandbox",
        shortcode="600000",
        originator_conversation_id="LP-1",
        now=timezone.now(),
    )
    return "/" + address.result_url.split("/", 3)[3]


def knock(path, body=BODY, source=SAFARICOM, **headers):
    return Client(raise_request_exception=False, enforce_csrf_checks=True).post(
        path, body, content_type="application/json", REMOTE_ADDR=source, headers=headers
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_letter_is_kept_as_it_came_handed_on_and_answered(applied, path, slash):
    answer = knock(path + slash)

    kept = MpesaCallback.objects.get()
    assert (answer.status_code, answer.json()) == (
        200,
        {"ResultCode": 0, "ResultDesc": "Accepted"},
    )
    assert (kept.body, kept.kind) == (BODY, CallbackKind.PAYMENT_RESULT)
    assert (kept.source_address, kept.is_quarantined) == (SAFARICOM, False)
    assert kept.request is not None
    assert applied == [kept.pk]


@pytest.mark.parametrize("body", ["", "<html>", "\x00\x01", "[" * 10_000, '{"Result":'])
def test_a_letter_nobody_can_read_is_kept_and_answered_all_the_same(applied, path, body):
    assert knock(path, body).status_code == 200
    assert MpesaCallback.objects.get().body == body


def test_bytes_that_are_no_text_are_kept_as_far_as_they_can_be(applied, path):
    assert knock(path, b'{"a": "\xff"}').status_code == 200
    assert MpesaCallback.objects.get().body == '{"a": "�"}'


def test_when_applying_fails_the_letter_is_kept_and_answered(monkeypatch, path, caplog):
    def fail(_):
        raise RuntimeError("the books are closed")

    monkeypatch.setattr(callbacks, "apply_callback", fail)

    assert knock(path).status_code == 200
    assert MpesaCallback.objects.get().applied_at is None
    assert "was kept but not applied" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        lambda path: path[:-1] + ("A" if path[-1] != "A" else "B"),
        lambda path: path.rsplit("/", 1)[0] + "/",
        lambda path: path.rsplit("/", 1)[0] + "/%00",
        lambda path: path.replace("payout-result", "status-result"),
        lambda path: path.replace("payout-result", "nothing"),
    ],
    ids=["wrong token", "no token", "nul", "token of another kind", "no such kind"],
)
def test_a_wrong_address_is_404_and_leaves_nothing(applied, path, wrong):
    answer = knock(wrong(path))

    assert answer.status_code == 404
    assert answer.json()["success"] is False
    assert MpesaCallback.objects.count() == 0
    assert applied == []


def test_a_stream_of_wrong_tokens_is_one_warning_without_the_token(applied, path, caplog):
    caplog.set_level(logging.INFO)
    for number in range(20):
        knock(f"/api/callbacks/payout-result/guess{number}")

    said = [record for record in caplog.records if record.name == "disbursements.doors"]
    assert len(said) == 1
    assert "guess" not in said[0].getMessage()


def test_a_letter_too_large_is_refused_unread(applied, path):
    assert knock(path, "x" * (64 * 1024)).status_code == 200
    assert knock(path, "x" * (64 * 1024 + 1)).status_code == 413
    assert MpesaCallback.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_only_post_comes_in(applied, path, method):
    answer = getattr(Client(), method)(path)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_when_the_database_is_away_safaricom_is_told_at_once(monkeypatch, path):
    def away(*_):
        raise OperationalError("could not connect")

    monkeypatch.setattr(callbacks, "find_request", away)

    answer = knock(path)

    assert (answer.status_code, answer["Retry-After"]) == (503, "30")


def test_a_letter_from_elsewhere_is_kept_in_quarantine(applied, path):
    assert knock(path, source="203.0.113.9").status_code == 200
    assert MpesaCallback.objects.get().is_quarantined


@pytest.mark.parametrize(
    ("source", "private", "welcome"),
    [
        (SAFARICOM, False, True),
        (f"::ffff:{SAFARICOM}", False, True),
        ("10.0.0.7", False, True),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("127.0.0.1", False, False),
        ("203.0.113.9", True, False),
        (None, True, False),
        ("nonsense", True, False),
    ],
)
def test_the_allow_list_decides(settings, source, private, welcome):
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = private
    settings.MPESA_CALLBACK_ALLOWED_IPS = [SAFARICOM, "a typing error", "10.0.0.0/24"]

    assert is_from_safaricom(source) is welcome


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "source"),
    [
        (0, "196.201.214.200", "203.0.113.9", "203.0.113.9"),
        (1, "196.201.214.200", "10.0.0.1", "196.201.214.200"),
        (1, "196.201.214.200, 203.0.113.9", "10.0.0.1", "203.0.113.9"),
        (2, "196.201.214.200, 203.0.113.9, 10.0.0.2", "10.0.0.1", "203.0.113.9"),
        (2, "196.201.214.200", "10.0.0.1", "10.0.0.1"),
        (1, "", "203.0.113.9", "203.0.113.9"),
        (1, "203.0.113.9:4711", "10.0.0.1", "203.0.113.9"),
        (1, "[2001:db8::7]:4711", "10.0.0.1", "2001:db8::7"),
        (1, "2001:db8::7", "10.0.0.1", "2001:db8::7"),
        (1, "unknown", "10.0.0.1", None),
        (0, "", "", None),
    ],
)
def test_the_source_is_the_rightmost_hop_that_is_not_ours(
    settings, proxies, forwarded, peer, source
):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().post(
        "/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded} if forwarded else {}
    )

    assert source_address(request) == source


def test_every_kind_has_an_address_without_a_forbidden_word():
    assert sorted(KINDS.values()) == sorted(CallbackKind)
    assert not any(word in slug for slug in KINDS for word in ("mpesa", "safaricom", "query"))


def test_the_answer_is_what_safaricom_reads():
    assert json.dumps(callbacks.ACCEPTED) == '{"ResultCode": 0, "ResultDesc": "Accepted"}'
