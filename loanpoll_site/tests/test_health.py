"""What monitors read, and what must never stand in it; and log lines without secrets."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from disbursements.tests.machines import (
    bearing,
    key_for,
    make_attempt,
    make_loan,
    make_partner,
)
from loanpoll_site import health
from loanpoll_site.logs import JsonFormatter, PlainFormatter, scrub
from mpesa.models import Shortcode

TOKEN = "a-token-for-metrics-0123456789"


def get(path, **headers):
    return Client().get(path, headers=headers)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_process_is_up_without_asking_the_database(slash):
    assert get(f"/healthz{slash}").json() == {"status": "ok"}  # no django_db here


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
def test_ready_means_database_and_migrations(slash):
    assert get(f"/readyz{slash}").status_code == 200


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready(monkeypatch):
    monkeypatch.setattr(health, "unapplied_migrations", lambda: 2)

    answer = get("/readyz")

    assert (answer.status_code, answer.json()["migrations"]) == (503, "2 not applied")


@pytest.mark.django_db
def test_a_lost_database_is_not_ready(monkeypatch):
    def away():
        raise OperationalError("password authentication failed for user loanpoll")

    monkeypatch.setattr(health, "unapplied_migrations", away)

    answer = get("/readyz")

    assert answer.status_code == 503
    assert b"password" not in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "status"), [(0, 200), (899, 200), (905, 503)], ids=["now", "in grace", "late"]
)
def test_a_partner_polled_late_is_reported(settings, seconds, status):
    settings.LOANPOLL_POLL_INTERVAL, settings.LOANPOLL_POLL_GRACE = 300, 600
    make_partner(last_poll_succeeded_at=timezone.now() - timedelta(seconds=seconds))

    assert get("/health/polling").status_code == status


@pytest.mark.django_db
def test_a_partner_never_polled_has_the_same_grace():
    make_partner("new")
    assert get("/health/polling").status_code == 200

    late = make_partner("old", rules_changed_at=timezone.now() - timedelta(days=1))

    reasons = get("/health/polling/").json()["reasons"]
    assert [(reason["partnerId"], reason["code"]) for reason in reasons] == [
        (late.pk, "never_polled")
    ]


@pytest.mark.django_db
def test_partners_that_are_not_to_be_polled_are_not_missed():
    long_ago = timezone.now() - timedelta(days=9)
    make_partner("off", is_active=False, last_poll_succeeded_at=long_ago)
    make_partner("half", is_mifos_configured=False, last_poll_succeeded_at=long_ago)

    assert get("/health/polling").json()["partners"] == 0
    assert get("/health/polling").status_code == 200


@pytest.mark.django_db
def test_the_open_addresses_name_nobody():
    make_partner("umoja", rules_changed_at=timezone.now() - timedelta(days=1))

    said = b"".join(get(path).content for path in ("/healthz", "/readyz", "/health/polling"))

    assert b"umoja" not in said.lower()


@pytest.mark.django_db
def test_metrics_are_off_until_they_have_a_token(settings):
    settings.METRICS_TOKEN = ""

    assert get("/metrics").status_code == 404
    assert get("/metrics", **bearing(key_for())).status_code == 404


@pytest.mark.django_db
def test_metrics_are_for_those_who_may_see_every_partner(settings):
    settings.METRICS_TOKEN = TOKEN

    assert get("/metrics").status_code == 401
    assert get("/metrics", **bearing("wrong")).status_code == 401
    assert get("/metrics", Authorization="Basic x").status_code == 401
    assert get("/metrics", **bearing(key_for(make_partner()))).status_code == 401
    assert get("/metrics", **bearing(key_for())).status_code == 200
    assert get("/metrics/", **bearing(TOKEN)).status_code == 200


@pytest.mark.django_db
def test_metrics_count_the_tables(settings):
    settings.METRICS_TOKEN = TOKEN
    partner = make_partner(
        mpesa_shortcode="600000", last_poll_succeeded_at=timezone.now(), mpesa_environment="sandbox"
    )
    Shortcode.objects.create(
        environment="sandbox", shortcode="600000", utility_balance=Decimal(390000)
    )
    done = make_loan(partner, 1, status="disbursed", mpesa_receipt_number="SGH7K2M9QD")
    done.disbursed_at = done.created_at + timedelta(seconds=76)
    done.save()
    make_attempt(done, status="completed", transaction_receipt="SGH7K2M9QD")
    open_loan = make_loan(partner, 2, review_reason="outcome_unknown")
    make_attempt(open_loan, attempt_no=1, status="failed")
    make_attempt(open_loan, attempt_no=2, status="unknown")

    said = get("/metrics", **bearing(TOKEN)).content.decode().splitlines()

    for line in (
        'loanpoll_loans{partner="umoja",status="disbursed"} 1.0',
        'loanpoll_loans_in_review{partner="umoja",reason="outcome_unknown"} 1.0',
        'loanpoll_payouts_total{outcome="paid",partner="umoja"} 1.0',
        'loanpoll_payouts_total{outcome="failed",partner="umoja"} 1.0',
        'loanpoll_payout_amount_kes_total{partner="umoja"} 7900.0',
        'loanpoll_open_payouts{partner="umoja",status="unknown"} 1.0',
        'loanpoll_float_kes{partner="umoja"} 390000.0',
        'loanpoll_time_to_disburse_seconds_bucket{le="60.0"} 0.0',
        'loanpoll_time_to_disburse_seconds_bucket{le="120.0"} 1.0',
        "loanpoll_time_to_disburse_seconds_count 1.0",
        "loanpoll_time_to_disburse_seconds_sum 76.0",
        "loanpoll_callbacks_unread 0.0",
        'loanpoll_build_info{version="1.0.0"} 1.0',
    ):
        assert line in said
    assert any(line.startswith("loanpoll_oldest_pending_age_seconds") for line in said)
    assert not any("254722" in line for line in said)


def test_every_answer_carries_its_id_and_a_forged_one_is_replaced():
    assert get("/healthz", **{"X-Request-ID": "proxy-7f3a91c2"})["X-Request-ID"] == (
        "proxy-7f3a91c2"
    )
    assert "\n" not in get("/healthz", **{"X-Request-ID": "a\nb" * 9})["X-Request-ID"]
    assert len(get("/healthz")["X-Request-ID"]) == 12


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("POST /api/callbacks/payout-result/SECRETtoken_-1 HTTP/1.1", "SECRETtoken_-1"),
        ("POST /api/callbacks/payout-result/SECRETtoken_-1/ 200", "SECRETtoken_-1"),
        ("/api/mifos/webhook/loan-approval/SECRETtoken_-1?x=1", "SECRETtoken_-1"),
        ("{'Authorization': 'Bearer SECRET.token123'}", "SECRET.token123"),
        ("authorization: basic c2VjcmV0OnNlY3JldA==", "c2VjcmV0OnNlY3JldA"),
        ('{"SecurityCredential": "SECRET/abc=="}', "SECRET/abc"),
        ("password=hunter2 user=x", "hunter2"),
        ('{"access_token": "SGWcJPtNtYNPGm6uSYR9yPYrAI3Bm"}', "SGWcJPtNtYNPGm6uSYR9yPYrAI3Bm"),
        ("paid 254722123646", "22123646"),
        ("paid 0722123646", "0722123646"),
    ],
)
def test_no_secret_and_no_full_number_reaches_the_log(line, secret):
    record = logging.LogRecord("t", logging.INFO, __file__, 1, "said: %s", (line,), None)

    assert secret not in scrub(line)
    assert secret not in PlainFormatter().format(record)
    assert secret not in JsonFormatter().format(record)


def test_a_traceback_is_scrubbed_too():
    try:
        raise RuntimeError("Authorization: Bearer SECRET.token123")
    except RuntimeError as exc:
        caught = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("t", logging.ERROR, __file__, 1, "failed", (), caught)

    assert "SECRET.token123" not in PlainFormatter().format(record)
    assert "SECRET.token123" not in JsonFormatter().format(record)


def test_a_line_end_in_a_message_forges_no_second_line():
    record = logging.LogRecord("t", logging.INFO, __file__, 1, "a\n{}", (), None)

    assert "\n" not in JsonFormatter().format(record)
    assert json.loads(JsonFormatter().format(record))["msg"] == "a\n{}"


def test_an_ordinary_line_stays_as_it_is():
    line = "disbursement LP-4e1 is accepted, receipt SGH7K2M9QD, loan 10491, KES 8000"

    assert scrub(line) == line
