"""The OpenAPI document, held against live answers."""

from __future__ import annotations

import json

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from disbursements.reports import FetchReport, LoanOutcome, ProcessReport
from disbursements.tests.machines import (
    bearing,
    fetched,
    key_for,
    loan_report,
    make_attempt,
    make_loan,
    make_partner,
    processed,
    stand_in,
)

pytestmark = pytest.mark.django_db

# Strings for numbers, and query strings that say nothing, are taken leniently by choice.
LENIENT = {"negative_data_rejection", "positive_data_acceptance", "missing_required_header"}

limits = settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def document():
    answer = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    return json.loads(answer.content)


@pytest.fixture
def contract():
    # As Django's own test client does: the test's transaction must outlive a request.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application())
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def key(monkeypatch, settings):
    cache.clear()
    partner = make_partner()
    make_attempt(make_loan(partner))
    standing = stand_in(monkeypatch)
    standing.fetch = FetchReport(results=[fetched(new_loans=1), fetched("tumaini", error="away")])
    loans = [loan_report(10000 + number, outcome) for number, outcome in enumerate(LoanOutcome)]
    standing.process = ProcessReport(
        results=[processed(loans=loans, paid=1, waiting_because="paused")]
    )
    monkeypatch.setattr(
        "rest_framework.throttling.ScopedRateThrottle.THROTTLE_RATES",
        {"sync": None, "read": None},
    )
    return key_for()


OPERATIONS = [
    ("/api/loans", "GET"),
    ("/api/loans/{id}", "GET"),
    ("/api/mifos/fetch-pending-loans", "POST"),
    ("/api/mifos/process-pending-loans", "POST"),
    ("/api/mifos/scheduled-loan-sync", "POST"),
    ("/api/mifos/scheduled-loan-sync", "GET"),
]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_the_document_knows(contract, key, path, method, mode):
    @given(case=contract[path][method].as_strategy(generation_mode=mode))
    @limits
    def holds(case):
        case.call_and_validate(
            headers=bearing(key),
            excluded_checks=[CHECKS.get_one(name) for name in LENIENT],
        )

    holds()


def test_the_document_names_every_path_once_and_every_error():
    paths = document()["paths"]

    assert sorted(paths) == [
        "/api/loans",
        "/api/loans/{id}",
        "/api/mifos/fetch-pending-loans",
        "/api/mifos/process-pending-loans",
        "/api/mifos/scheduled-loan-sync",
    ]
    for operations in paths.values():
        for operation in operations.values():
            assert {"200", "400", "401", "403", "405", "429", "500", "503"} <= set(
                operation["responses"]
            )


def test_the_document_is_openapi_3_1_and_open_to_read():
    assert document()["openapi"] == "3.1.0"
    for path in ("/api/schema", "/api/docs", "/api/docs/"):
        assert Client().get(path).status_code == 200


def test_the_page_of_the_api_loads_nothing_from_elsewhere():
    page = Client().get("/api/docs/").content.decode()

    assert "http://" not in page
    assert "https://" not in page
