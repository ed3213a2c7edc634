"""Reading the loans: filters, pages, masked numbers, and who sees which partner."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from disbursements.tests.machines import get, key_for, make_attempt, make_loan, make_partner, post
from loans.models import LoanEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_throttle():
    cache.clear()


def ids(answer):
    return [loan["loanId"] for loan in answer.json()["results"]]


def test_a_loan_is_shown_in_camel_case_with_a_masked_number():
    make_loan(make_partner())

    loan = get("/api/loans", key=key_for()).json()["results"][0]

    assert loan["phoneNumber"] == "2547****646"
    assert loan["loanAmount"] == "8000.00"
    assert loan["partner"] == "umoja"
    assert loan["createdAt"].endswith("Z")


def test_no_full_number_hides_in_a_sentence():
    make_loan(make_partner(), error_message="0722123646 and 254722123646 belong to two clients")

    assert "22123646" not in get("/api/loans", key=key_for()).content.decode()


@pytest.mark.parametrize("slash", ["", "/"])
def test_reading_needs_a_key(slash):
    assert get(f"/api/loans{slash}").status_code == 401
    assert get(f"/api/loans/1{slash}").status_code == 401
    assert get(f"/api/loans{slash}", key=key_for()).status_code == 200


def test_the_cron_secret_reads_no_loans(settings):
    settings.CRON_SECRET = "a-long-secret-for-hosted-cron-0123456789"

    assert get("/api/loans", key=settings.CRON_SECRET).status_code == 401


def test_a_bound_key_sees_its_partner_only():
    umoja, tumaini = make_partner("umoja"), make_partner("tumaini")
    make_loan(umoja, 1)
    other = make_loan(tumaini, 2)
    key = key_for(umoja)

    assert ids(get("/api/loans", key=key)) == [1]
    assert get("/api/loans", key=key, partner="tumaini").json()["results"] == []
    assert get(f"/api/loans/{other.pk}", key=key).status_code == 404


def test_staff_with_the_right_read_with_their_session():
    make_loan(make_partner())
    clerk = User.objects.create_user("clerk", is_staff=True)
    client = Client()
    client.force_login(clerk)
    assert client.get("/api/loans").status_code == 403

    clerk.user_permissions.add(Permission.objects.get(codename="view_loantracking"))

    assert client.get("/api/loans").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "failed"}, [2]),
        ({"partner": "tumaini"}, [3]),
        ({"loanId": 1}, [1]),
        ({"phone": "0722 123 646"}, [3, 1]),
        ({"phone": "+254722123646"}, [3, 1]),
        ({"receipt": "SGH7K2M9QD"}, [3]),
        ({"needsReview": "true"}, [2]),
        ({"needsReview": "false"}, [3, 1]),
        ({"createdAfter": "2099-01-01T00:00:00Z"}, []),
        ({"createdBefore": "2099-01-01T00:00:00Z"}, [3, 2, 1]),
    ],
)
def test_each_filter_narrows(query, found):
    umoja, tumaini = make_partner("umoja"), make_partner("tumaini")
    make_loan(umoja, 1)
    make_loan(umoja, 2, status="failed", review_reason="outcome_unknown", phone_number="254110")
    make_loan(tumaini, 3, mpesa_receipt_number="SGH7K2M9QD")

    assert ids(get("/api/loans", key=key_for(), **query)) == found


@pytest.mark.parametrize(
    "query",
    [
        {"state": "failed"},
        {"status": "paid"},
        {"loanId": "x"},
        {"loanId": str(2**70)},
        {"pageSize": "0"},
        {"createdAfter": "0001-01-01T00:00:00Z"},
        {"phone": "\x00"},
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused_not_ignored(query):
    assert get("/api/loans", key=key_for(), **query).status_code == 400


def test_pages_follow_on_from_each_other():
    partner = make_partner()
    for number in range(5):
        make_loan(partner, 100 + number)
    key = key_for()

    first = get("/api/loans", key=key, pageSize=2)
    make_loan(partner, 200)  # a newcomer shifts nothing
    second = get(first.json()["next"], key=key)

    assert ids(first) + ids(second) == [104, 103, 102, 101]
    assert get("/api/loans", key=key, cursor="nonsense").status_code == 404


def test_one_loan_comes_with_its_attempts_and_its_trail():
    loan = make_loan(make_partner())
    attempt = make_attempt(loan, status="failed", result_code="1")
    LoanEvent.objects.create(
        loan_tracking=loan,
        disbursement_request_id=attempt.pk,
        from_status="submitting",
        to_status="failed",
        actor="settle",
        reason="0722123646 has no float",
        at=timezone.now(),
        digest="d",
    )

    body = get(f"/api/loans/{loan.pk}", key=key_for()).json()

    assert body["attempts"][0]["resultCode"] == "1"
    assert body["attempts"][0]["phoneNumber"] == "2547****646"
    assert body["events"][0]["disbursementId"] == attempt.pk
    assert body["events"][0]["reason"] == "0722****646 has no float"


@pytest.mark.parametrize("number", [0, 99, 2**63 - 1, 2**63, 10**40])
def test_a_loan_that_is_not_there_is_404(number):
    assert get(f"/api/loans/{number}", key=key_for()).status_code == 404


def test_loans_cannot_be_written():
    assert post("/api/loans", {}, key=key_for()).status_code == 405
