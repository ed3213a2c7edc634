"""One loan: its books, its story, its actions; and the admin that only reads."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework_api_key.models import APIKey

from disbursements.models import (
    ApiKey,
    AttemptStatus,
    DisbursementRequest,
    ReviewResolution,
    SyncRun,
)
from disbursements.pages.actions import possible_actions
from disbursements.pages.books import three_books
from disbursements.pages.cases import read_cases
from disbursements.tests.making import make_attempt, make_event, make_loan, make_partner
from disbursements.tests.statements import at_most
from loans.models import LoanApproval, LoanEvent, LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

# Bound partners, loan, attempts, request, proposal, three of standings, events, requests to M-Pesa
# and its letters, related loans and their attempts.
STATEMENTS = 13
MOST_BYTES = 100_000
PROCESSING = LoanStatus.PROCESSING
READ_ONLY = [LoanTracking, DisbursementRequest, LoanEvent, SyncRun, LoanApproval, ReviewResolution]


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def why_not(loan: LoanTracking, name: str) -> str:
    [case] = read_cases([loan], "jane.o")
    return next(one.why_not for one in possible_actions(case) if one.name == name)


def test_the_page_tells_the_whole_story_in_fixed_statements(root: Client):
    loan = make_loan(status=PROCESSING, review_reason="outcome_unknown", client_id=7)
    for number in range(3):
        make_attempt(loan, status=AttemptStatus.FAILED, result_code=f"{number}7")
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    at = timezone.now().replace(hour=6, minute=41, second=22)
    for number in range(60):
        make_event(
            loan,
            attempt=attempt,
            from_status="accepted",
            to_status="unknown",
            actor="M-Pesa",
            reason=f"Time-out notice {number} for 254712345678",
            at=at,
            details={"ResultCode": "1037", "party": {"phone": "0712345678"}},
        )
    other = make_loan(loan.partner, client_id=7)

    with at_most(STATEMENTS):
        answer = root.get(f"/loan-tracking/{loan.pk}")
    html = answer.content.decode()

    assert "Accepted by M-Pesa" in html
    assert "<strong>Outcome unknown</strong>" in html
    assert "09:41:22" in html
    assert "Time-out notice 59 for 0712 ***678" in html
    assert "254712345678" not in html
    assert "0712345678" not in html
    assert attempt.originator_conversation_id in html
    assert f"/loan-tracking/{other.pk}" in html
    assert "Do not pay by hand" in html
    assert len(answer.content) < MOST_BYTES


def test_a_loan_that_is_not_there_is_not_found(root: Client):
    answer = root.get("/loan-tracking/999")

    assert answer.status_code == 404
    assert b"There is nothing at this address" in answer.content


@pytest.mark.parametrize(
    "status", [status for status in AttemptStatus if status != AttemptStatus.FAILED]
)
def test_paying_again_is_never_possible_while_an_attempt_is_live(status: AttemptStatus):
    loan = make_loan(status=LoanStatus.FAILED)
    make_attempt(loan, status=AttemptStatus.FAILED)
    make_attempt(loan, status=status)

    assert why_not(loan, "retry")


def test_paying_again_is_possible_after_a_proven_failure():
    loan = make_loan(status=LoanStatus.FAILED)
    make_attempt(loan, status=AttemptStatus.FAILED)

    assert why_not(loan, "retry") == ""


def test_paying_again_waits_for_the_review():
    loan = make_loan(status=LoanStatus.FAILED, review_reason="failure_unconfirmed")

    assert why_not(loan, "retry") == "the review must be settled first."


def test_the_books_agree_when_all_three_say_the_same():
    now = timezone.now()
    loan = make_loan(status=LoanStatus.DISBURSED)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.COMPLETED,
        transaction_completed_at=now,
        record_date=timezone.localdate(now),
    )

    assert {line.agrees for line in three_books(loan, attempt)} == {True}


def test_what_differs_stands_first():
    loan = make_loan(status=PROCESSING, loan_amount=Decimal(5000))
    attempt = make_attempt(loan, amount=Decimal(4000))

    first = three_books(loan, attempt)[0]

    assert (first.label, first.verdict) == ("To the client", "differs")
    assert (first.ours, first.mifos) == ("KSh 4,000", "KSh 5,000")


def test_nothing_is_compared_before_anything_was_sent():
    assert {line.agrees for line in three_books(make_loan(), None)} == {None}


def test_the_sort_of_the_story_is_its_order_of_writing(root: Client):
    loan = make_loan()
    make_event(loan, reason="First", at=timezone.now())
    make_event(loan, reason="Second", at=timezone.now() - timedelta(hours=1))

    happenings = root.get(f"/loan-tracking/{loan.pk}").context["events"]

    assert [one.reason for one in happenings] == ["Second", "First"]


@pytest.mark.parametrize("model", READ_ONLY)
def test_not_even_a_superuser_changes_a_money_table(root: Client, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    loan = make_loan()
    make_event(loan)
    row = make_attempt(loan) if model is DisbursementRequest else model.objects.first()

    assert root.get(reverse(f"{name}_changelist")).status_code == 200
    assert root.get(reverse(f"{name}_add")).status_code == 403
    if row:
        assert root.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert root.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
        assert root.post(reverse(f"{name}_delete", args=[row.pk]), {}).status_code == 403


def test_no_list_of_the_admin_deletes_in_bulk(root: Client):
    make_loan()

    html = root.get("/admin/loans/loantracking/").content.decode()

    assert "delete_selected" not in [name for name, _ in admin.site.actions]
    assert 'name="action"' not in html


@pytest.mark.parametrize("model", READ_ONLY)
def test_no_list_of_the_admin_counts_the_whole_table(model):
    assert admin.site._registry[model].show_full_result_count is False


def test_the_loans_page_in_the_admin_shows_attempts_and_events(root: Client):
    loan = make_loan()
    attempt = make_attempt(loan, status=AttemptStatus.FAILED)
    make_event(loan, reason="Found in Mifos X")

    html = root.get(f"/admin/loans/loantracking/{loan.pk}/change/").content.decode()

    assert attempt.originator_conversation_id in html
    assert "Found in Mifos X" in html


def test_an_api_key_is_shown_once_and_revoked(root: Client):
    answer = root.post("/admin/disbursements/apikey/add/", {"name": "cron"}, follow=True)
    key = ApiKey.objects.get()
    told = re.search(rf"{key.prefix}\.\w{{32}}", answer.content.decode())

    assert told
    assert ApiKey.objects.is_valid(told[0])
    assert not admin.site.is_registered(APIKey)
    again = root.get(f"/admin/disbursements/apikey/{key.pk}/change/").content.decode()
    assert told[0] not in again

    root.post("/admin/disbursements/apikey/", {"action": "revoke", "_selected_action": [key.pk]})

    key.refresh_from_db()
    assert key.revoked


def test_the_admin_wears_the_name_and_the_environment(root: Client):
    make_partner(mpesa_environment="production")

    html = root.get("/admin/").content.decode()

    assert "Loan Poll" in html
    assert ">LIVE<" in html
    assert 'href="/loan-tracking"' in html
