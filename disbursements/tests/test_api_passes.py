"""The guide's three endpoints: who may call, what is asked, and the answer old clients read."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client

from disbursements import passes
from disbursements.models import TriggeredBy
from disbursements.reports import FetchReport, LoanOutcome, ProcessReport
from disbursements.tests.machines import (
    Passes,
    bearing,
    fetched,
    get,
    key_for,
    loan_report,
    make_loan,
    make_partner,
    post,
    processed,
    stand_in,
)

FETCH = "/api/mifos/fetch-pending-loans"
PROCESS = "/api/mifos/process-pending-loans"
SYNC = "/api/mifos/scheduled-loan-sync"
CRON = "/api/cron/loan-polling"
SECRET = "a-long-secret-for-hosted-cron-0123456789"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_throttle(settings):
    cache.clear()
    settings.CRON_SECRET = SECRET


@pytest.fixture
def standing(monkeypatch) -> Passes:
    return stand_in(monkeypatch)


@pytest.mark.parametrize("path", [FETCH, PROCESS, SYNC, CRON])
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_spelling_answers_and_none_redirects(standing, path, slash):
    assert post(path + slash, key=SECRET).status_code == 200


@pytest.mark.parametrize("path", [FETCH, PROCESS, SYNC, CRON])
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer abcdefgh.wrong", "Basic dXNlcjpwYXNz", "Bearer"]
)
def test_nobody_comes_in_without_a_credential(standing, path, header):
    answer = Client().post(path, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["success"] is False
    assert standing.asked == []


def test_an_unset_cron_secret_lets_nobody_in(standing, settings):
    settings.CRON_SECRET = ""

    assert get(SYNC).status_code == 401
    assert Client().get(SYNC, headers={"Authorization": "Bearer "}).status_code == 401
    assert post(SYNC, key=SECRET).status_code == 401


def test_a_revoked_key_is_shut_out(standing):
    key = key_for()
    assert post(SYNC, key=key).status_code == 200
    from disbursements.models import ApiKey

    ApiKey.objects.update(revoked=True)

    assert post(SYNC, key=key).status_code == 401


def test_hosted_cron_may_get_the_sync_and_nothing_else(standing):
    assert get(SYNC, key=SECRET).status_code == 200
    assert get(CRON, key=SECRET).status_code == 200
    assert get(FETCH, key=SECRET).status_code == 405
    assert [name for name, _ in standing.asked] == ["sync", "sync"]
    assert standing.asked[0][1]["triggered_by"] == TriggeredBy.SCHEDULE


def test_a_get_without_the_cron_secret_starts_nothing(standing):
    assert get(SYNC).status_code == 401
    assert get(SYNC, key=key_for()).status_code == 403
    assert standing.asked == []


def test_a_loan_that_no_fetch_has_found_is_refused_and_not_looked_for_everywhere(standing):
    make_loan(make_partner("umoja"), loan_id=10491)
    make_partner("tumaini")

    for body in ({"loanId": 1}, {"loanId": 10491, "partner": "tumaini"}):
        answer = post(PROCESS, body, key=key_for())
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "loanId")
    assert standing.asked == []


@pytest.mark.parametrize("method", ["head", "options", "put", "delete", "patch"])
def test_no_other_method_starts_a_pass(standing, method):
    answer = getattr(Client(), method)(SYNC, headers=bearing(SECRET))

    assert answer.status_code == 405
    assert standing.asked == []


def test_the_body_chooses_what_is_processed(standing, settings):
    make_loan(make_partner("umoja"), loan_id=10491)
    make_partner("tumaini")
    body = {"limit": 5, "dryRun": True, "loanId": 10491}

    post(PROCESS, body, key=key_for())

    assert standing.asked == [
        (
            "process",
            {
                "triggered_by": TriggeredBy.API,
                "partners": ("umoja",),
                "limit": 5,
                "dry_run": True,
                "loan_id": 10491,
                "budget_seconds": settings.LOANPOLL_HTTP_PASS_BUDGET,
            },
        )
    ]


def test_without_a_body_everything_is_processed_for_real(standing):
    Client().generic("POST", PROCESS, headers=bearing(SECRET))  # as `curl -X POST` sends it

    options = standing.asked[0][1]
    assert options["partners"] == ()
    assert not options.get("dry_run")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PROCESS, {"dryrun": True}, "dryrun"),
        (SYNC, {"limit": 3}, "limit"),
        (FETCH, {"dryRun": True}, "dryRun"),
        (PROCESS, {"limit": 0}, "limit"),
        (PROCESS, {"limit": "many"}, "limit"),
        (PROCESS, {"dryRun": "perhaps"}, "dryRun"),
        (PROCESS, {"loanId": 2**63}, "loanId"),
        (PROCESS, {"partner": "nobody"}, "partner"),
        (PROCESS, [], "body"),
        (PROCESS, False, "body"),
    ],
)
def test_a_body_that_cannot_be_meant_starts_nothing(standing, path, body, field):
    answer = post(path, json.dumps(body), key=SECRET)

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert standing.asked == []


def test_an_unknown_partner_is_told_the_known_ones(standing):
    make_partner("umoja")

    answer = post(PROCESS, {"partner": "umoya"}, key=SECRET)

    assert "umoja" in answer.json()["error"]


def test_a_bound_key_acts_for_its_partner_only(standing):
    key = key_for(make_partner("umoja"))
    make_partner("tumaini")

    assert post(SYNC, key=key).status_code == 200
    assert post(SYNC, {"partner": "tumaini"}, key=key).status_code == 403
    assert post(SYNC, {"partner": "nobody"}, key=key).status_code == 403
    assert [options["partners"] for _, options in standing.asked] == [("umoja",)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 60_000, "application/json", 400),
        ("{}", "text/plain", 415),
        ("a=1", "application/x-www-form-urlencoded", 415),
        ("x" * 70_000, "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(standing, body, content_type, status):
    answer = Client(raise_request_exception=False).post(
        SYNC, body, content_type=content_type, headers=bearing(SECRET)
    )

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert standing.asked == []


def test_fetch_answers_in_the_guides_keys(standing):
    standing.fetch = FetchReport(
        results=[
            fetched("umoja", approved=9, new_loans=4, seconds=1.5),
            fetched("tumaini", error="Mifos refused the login (HTTP 401)"),
        ]
    )

    answer = post(FETCH, key=SECRET)

    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is False  # true only if it is
    assert body["partial"] is True
    assert body["message"] == "Successfully processed 4 pending loans"
    assert body["totalProcessedLoans"] == 4
    assert body["results"] == [
        {
            "partner": "Umoja Sacco",
            "partnerSlug": "umoja",
            "pendingLoans": 9,
            "processedLoans": 4,
            "cancelledLoans": 0,
            "durationMs": 1500,
        },
        {
            "partner": "Tumaini Sacco",
            "partnerSlug": "tumaini",
            "error": "Mifos refused the login (HTTP 401)",
        },
    ]


def test_fetch_without_partners_answers_as_the_guide_does(standing):
    body = post(FETCH, key=SECRET).json()

    assert body == {
        "success": True,
        "message": "No active partners found",
        "processedLoans": 0,
        "totalProcessedLoans": 0,
        "results": [],
    }


@pytest.mark.parametrize("path", [FETCH, SYNC])
def test_when_no_partner_could_be_served_the_scheduler_is_told(standing, path):
    standing.fetch = FetchReport(results=[fetched("umoja", error="no answer")])

    answer = post(path, key=SECRET)

    assert answer.status_code == 502
    assert answer.json()["success"] is False
    assert "no answer" in answer.json()["error"]


def test_process_counts_only_confirmed_payouts(standing):
    loans = [
        loan_report(10491, receipt="SGH7K2M9QD", disbursement_id=7),
        loan_report(10496, LoanOutcome.PROCESSING, conversation_id="AG_1", disbursement_id=8),
        loan_report(10493, LoanOutcome.FAILED, reason="Not an M-Pesa number", result_code="2040"),
        loan_report(10482, LoanOutcome.UNKNOWN, reason="No answer from M-Pesa"),
        loan_report(10495, LoanOutcome.HELD, reason="The product is not enabled"),
    ]
    standing.process = ProcessReport(results=[processed(paid=1, loans=loans)])

    body = post(PROCESS, key=SECRET).json()

    assert body["success"] is True
    assert (body["processedLoans"], body["totalLoans"], body["hasMore"]) == (1, 5, False)
    assert [(loan["loanId"], loan["status"]) for loan in body["results"]] == [
        (10491, "success"),
        (10496, "processing"),
        (10493, "failed"),
        (10482, "error"),
        (10495, "held"),
    ]
    assert body["results"][0]["mpesaReceipt"] == "SGH7K2M9QD"
    assert body["results"][2]["error"] == "Not an M-Pesa number"
    assert "error" not in body["results"][4]
    assert body["summary"]["amount"] == "8000.00"


def test_process_with_nothing_to_do_says_so(standing):
    body = post(PROCESS, key=SECRET).json()

    assert body["message"] == "No pending loans to process"
    assert (body["processedLoans"], body["totalLoans"], body["results"]) == (0, 0, [])


def test_the_sync_sentence_that_people_grep_stays(standing):
    standing.fetch = FetchReport(results=[fetched(approved=9, new_loans=4)])
    standing.process = ProcessReport(results=[processed(paid=6, has_more=True)])

    body = post(SYNC, key=SECRET).json()

    assert list(body)[:3] == ["success", "summary", "details"]
    assert body["summary"] == {
        "success": True,
        "timestamp": "2026-11-23T06:40:02.114Z",
        "fetchSuccess": True,
        "processSuccess": True,
        "totalFetched": 4,
        "totalProcessed": 6,
        "message": "Sync completed: 4 loans fetched, 6 loans processed",
    }
    assert body["details"]["processResults"]["processedLoans"] == 6
    assert body["hasMore"] is True
    assert body["runId"] == "8124"


@pytest.mark.parametrize("path", [FETCH, SYNC])
def test_a_list_that_was_cut_is_told_as_more_and_not_as_trouble(standing, path):
    standing.fetch = FetchReport(results=[fetched("umoja", has_more=True)])

    answer = post(path, key=SECRET)

    assert (answer.status_code, answer.json()["hasMore"]) == (200, True)


def test_the_answer_stays_under_64_kb_and_says_that_it_was_cut(standing):
    loans = [loan_report(20_000 + number, reason="x" * 2000) for number in range(3000)]
    standing.process = ProcessReport(results=[processed(paid=3000, loans=loans)])

    answer = post(SYNC, key=SECRET)

    details = answer.json()["details"]["processResults"]
    assert len(answer.content) < 64_000
    assert details["resultsTruncated"] is True
    assert details["totalLoans"] == 3000


def test_too_many_calls_are_told_when_to_come_back(standing, monkeypatch):
    from rest_framework.throttling import ScopedRateThrottle

    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"sync": "2/min", "read": "2/min"})
    key = key_for()

    assert [post(SYNC, key=key).status_code for _ in range(3)] == [200, 200, 429]
    assert int(post(SYNC, key=key)["Retry-After"]) > 0
    assert post(SYNC, key=SECRET).status_code == 200  # another caller has his own pace


def test_a_crash_is_json_without_its_cause(standing, monkeypatch):
    def crash(**_):
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(passes, "run_sync", crash)

    answer = post(SYNC, key=SECRET)

    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/problem+json"
    assert b"hunter2" not in answer.content
    assert answer.json()["requestId"] == answer["X-Request-ID"]


def test_a_lost_database_is_503_and_says_when_to_come_back(standing, monkeypatch):
    def lost(**_):
        raise OperationalError("could not connect")

    monkeypatch.setattr(passes, "run_sync", lost)

    answer = post(SYNC, key=SECRET)

    assert (answer.status_code, answer["Retry-After"]) == (503, "30")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/loans/x", "/api/mifos/nope/"])
def test_an_unknown_address_under_api_is_json(path):
    for answer in (get(path), post(path)):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert answer.json()["status"] == 404


def test_a_wrong_host_is_json_too():
    answer = Client(raise_request_exception=False).get("/api/loans", headers={"Host": "evil"})

    assert answer.status_code in (400, 401)
    assert answer["Content-Type"] == "application/problem+json"
