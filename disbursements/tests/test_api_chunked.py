"""A body without a length, which Django alone would take for empty."""

from __future__ import annotations

import io
import json

import pytest
from django.test import Client

from disbursements.tests.machines import bearing, stand_in

SECRET = "a-long-secret-for-hosted-cron-0123456789"
PROCESS = "/api/mifos/process-pending-loans"

pytestmark = pytest.mark.django_db


@pytest.fixture
def standing(monkeypatch, settings):
    settings.CRON_SECRET = SECRET
    return stand_in(monkeypatch)


def send(body, *, terminated=True):
    """Send as gunicorn hands a chunked body on: no length, and a stream that ends by itself."""
    client = Client(raise_request_exception=False)
    return client.generic(
        "POST",
        PROCESS,
        headers=bearing(SECRET),
        **{
            "CONTENT_TYPE": "application/json",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": terminated,
        },
    )


def test_a_chunked_dry_run_is_a_dry_run(standing):
    assert send(json.dumps({"dryRun": True}).encode()).status_code == 200
    assert standing.asked[0][1]["dry_run"] is True


def test_a_chunked_body_has_a_limit(standing):
    assert send(b"[" * 70_000).status_code == 413
    assert send(b"[" * 300_000).status_code == 413
    assert standing.asked == []


def test_a_body_whose_end_the_server_does_not_tell_is_refused(standing):
    assert send(b"{}", terminated=False).status_code == 411
    assert standing.asked == []
