"""Several partners, passes and processes at once: nobody waits for another, nobody pays twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from django.db import connection

from disbursements.models import DisbursementRequest, TriggeredBy
from disbursements.passes import run_sync
from loans.models import HoldReason, LoanStatus, LoanTracking
from partners.models import Partner
from sandbox.world import generate, small_world
from tests.journeys.conftest import SHORT_CLOCK, Open, Stage, run

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = Path(__file__).resolve().parents[2]


def at_once(*work: Callable[[], object]) -> None:
    """Start all of these in the same moment, and wait for them."""
    barrier = threading.Barrier(len(work))

    def begin(one: Callable[[], object]) -> None:
        barrier.wait()
        try:
            one()
        finally:
            connection.close()

    threads = [threading.Thread(target=begin, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def a_pass() -> None:
    run_sync(triggered_by=TriggeredBy.SCHEDULE)


@pytest.fixture
def two(open_stage: Open) -> Stage:
    """Two lenders with a few loans each."""
    return open_stage(generate(tenants=2, loans=8, seed=5, kinds=()))


def loans_of(slug: str, **columns: str) -> int:
    return LoanTracking.objects.filter(partner__slug=slug, **columns).count()


def test_a_wrong_password_of_one_partner_is_told_and_the_other_is_paid(two: Stage) -> None:
    Partner.objects.filter(slug="lender1").update(mifos_password="changed")

    text, code = run("scheduled_loan_sync")
    two.settle()
    run("scheduled_loan_sync")

    assert code == 1
    assert "user name and password" in text
    assert "password" in Partner.objects.get(slug="lender1").last_error
    assert Partner.objects.get(slug="lender2").last_error == ""
    assert loans_of("lender1") == 0
    assert loans_of("lender2", status=LoanStatus.DISBURSED) == 4
    two.books()


def test_a_hanging_mifos_of_one_partner_costs_the_other_nothing(two: Stage) -> None:
    two.settings.LOANPOLL_HTTP_READ_TIMEOUT = 1.5
    two.sandbox.add_fault("any", "timeout_before", times=None, match={"tenant": "lender1"})
    started = time.monotonic()

    report = run_sync(triggered_by=TriggeredBy.SCHEDULE)

    seconds = {each.slug: each.seconds for each in report.process.results}
    assert time.monotonic() - started < 20
    assert seconds["lender2"] < 10
    two.settle()
    assert {debit["shortcode"] for debit in two.sandbox.debits()} == {"600002"}
    assert len(two.sandbox.debits()) == 4
    fetched = {each.slug: each.error for each in report.fetch.results}
    assert fetched["lender1"]
    assert not fetched["lender2"]


def test_one_partners_refused_shortcode_stops_only_that_partner(two: Stage) -> None:
    two.sandbox.change_shortcode("600001", b2c_enabled=False)

    two.sync(3)

    books = two.books()
    assert {debit["shortcode"] for debit in books.debits} == {"600002"}
    assert loans_of("lender2", status=LoanStatus.DISBURSED) == 4


def test_a_loan_that_cannot_be_read_does_not_keep_the_others_waiting(open_stage: Open) -> None:
    stage = open_stage(small_world(payable=5, kinds=()), mifos_concurrency=1)
    stage.sandbox.add_fault("loan", "404", times=None, match={"loan_id": stage.first})
    stage.sandbox.add_fault("client", "403", times=None, match={"client_id": 1002})

    stage.sync(3)

    stage.books()
    assert LoanTracking.objects.filter(status=LoanStatus.DISBURSED).count() == 3


def test_two_passes_in_two_threads_pay_each_loan_once(two: Stage) -> None:
    at_once(a_pass, a_pass, a_pass)
    two.settle()
    at_once(a_pass, a_pass)

    two.sync_until(two.is_done)

    books = two.books()
    assert books.paid == two.sample.expected_debits
    assert len(books.requests) == 8
    assert not LoanTracking.objects.exclude(review_reason="").exists()


def test_two_passes_in_two_processes_pay_each_loan_once(
    two: Stage, child_environment: dict[str, str], live_site: str
) -> None:
    environment = {
        **child_environment,
        **{name: str(seconds) for name, seconds in SHORT_CLOCK.items()},
        "PUBLIC_BASE_URL": live_site,
        "MPESA_SANDBOX_URL": two.sandbox.mpesa_url,
    }
    command = [sys.executable, "manage.py", "scheduled_loan_sync"]
    children = [
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    codes = [child.wait(60) for child in children]

    assert codes == [0, 0]
    two.settle()
    assert len(two.books().requests) == 8
    two.sync_until(two.is_done)
    assert two.books().paid == two.sample.expected_debits


def test_a_daily_limit_holds_when_passes_race_for_it(open_stage: Open) -> None:
    sample = small_world(payable=8, kinds=())
    limit = sum(sorted(loan.net for loan in sample.payable)[:4])
    stage = open_stage(sample, daily_limit=str(limit), mifos_concurrency=8)

    at_once(a_pass, a_pass, a_pass)
    stage.sync(2)

    books = stage.books()
    spent = sum(amount for _, amount in books.paid.values())
    assert 0 < spent <= limit
    held = LoanTracking.objects.filter(hold_reason=HoldReason.DAILY_LIMIT).count()
    assert held == 8 - len(books.debits)


def hook(stage: Stage, loan_id: int, token: str | None = None) -> int:
    partner = Partner.objects.get()
    url = f"{stage.settings.PUBLIC_BASE_URL}/api/mifos/webhook/loan-approval/"
    body = {
        "entityName": "LOAN",
        "actionName": "APPROVE",
        "response": {"loanId": loan_id, "resourceId": loan_id},
    }
    headers = {"Fineract-Platform-TenantId": partner.mifos_tenant_id}
    answer = requests.post(
        url + (token or partner.webhook_token), json=body, headers=headers, timeout=30
    )
    return answer.status_code


def test_a_hook_wakes_us_and_its_one_loan_is_paid_at_once(open_stage: Open) -> None:
    stage = open_stage(small_world(payable=3, kinds=()))

    assert hook(stage, stage.first, token="wrong") == 404
    assert hook(stage, stage.first) == 200

    stage.settle()
    books = stage.books()
    assert [unit[1] for unit in books.paid] == [stage.first]
    assert DisbursementRequest.objects.get().triggered_by == "hook"
    stage.sync_until(stage.is_done)
    assert stage.books().paid == stage.sample.expected_debits


def test_hooks_and_passes_for_one_loan_at_once_pay_it_once(stage: Stage) -> None:
    at_once(a_pass, lambda: hook(stage, stage.first), a_pass, lambda: hook(stage, stage.first))

    stage.sync_until(stage.is_done)

    assert len(stage.books().requests) == 1


def test_a_partner_switched_off_with_a_payment_open_is_still_settled(stage: Stage) -> None:
    stage.sandbox.add_fault("callback", "lost")
    stage.sync()
    Partner.objects.update(is_active=False)

    stage.sync_until(stage.is_done)

    stage.books()


def test_a_pass_with_a_time_budget_settles_and_records_even_when_there_is_more_to_pay(
    open_stage: Open,
) -> None:
    stage = open_stage(small_world(payable=30, kinds=()), mifos_concurrency=1)
    stage.sandbox.options(mpesa_latency=0.15)
    first = run_sync(triggered_by=TriggeredBy.API, budget_seconds=2)
    stage.settle()

    run_sync(triggered_by=TriggeredBy.API, budget_seconds=2)

    assert first.process.has_more
    assert LoanTracking.objects.filter(status=LoanStatus.DISBURSED).exists()
    stage.sandbox.options(mpesa_latency=0)
    stage.sync_until(stage.is_done)
    stage.books()
