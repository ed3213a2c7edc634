"""The commands that cron and people type: what they say, and their exit codes."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError

from disbursements import presenting
from disbursements.models import ApiKey
from disbursements.reports import FetchReport, LoanOutcome, ProcessReport
from disbursements.tests.machines import (
    fetched,
    get,
    loan_report,
    make_loan,
    make_partner,
    processed,
    stand_in,
)
from partners.management.database import unusable_database
from partners.models import Partner

pytestmark = pytest.mark.django_db

PASSES = ["fetch_pending_loans", "process_pending_loans", "scheduled_loan_sync"]


@pytest.fixture
def standing(monkeypatch):
    standing = stand_in(monkeypatch)
    standing.fetch = FetchReport(
        results=[fetched(approved=9, new_loans=4, seconds=1.1), fetched("tumaini")]
    )
    standing.process = ProcessReport(
        results=[
            processed(
                paid=1,
                waiting={"The daily limit is used up": 2},
                loans=[
                    loan_report(10491, amount=Decimal(148000)),
                    loan_report(10496, LoanOutcome.PROCESSING),
                    loan_report(10495, LoanOutcome.HELD, reason="The daily limit is used up"),
                    loan_report(10494, LoanOutcome.HELD, reason="The daily limit is used up"),
                    loan_report(10493, LoanOutcome.FAILED, reason="Not an M-Pesa number"),
                ],
                seconds=17.3,
            ),
            processed("tumaini", waiting_because="paused by p.njoroge (float audit)"),
        ]
    )
    return standing


def run(name, *arguments):
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_a_pass_tells_each_partners_numbers_and_why_the_rest_waits(standing):
    make_loan(make_partner(), review_reason="outcome_unknown")

    said = run("scheduled_loan_sync")

    lines = said.splitlines()
    assert lines[0].startswith("Sync 8124 at 09:40:02 EAT")
    assert next(line for line in lines if line.startswith("umoja")).split() == (
        ["umoja", "9", "4", "1", "148,000", "3", "1", "1", "18.4s"]
    )
    assert next(line for line in lines if line.startswith("total")).split()[1:3] == ["9", "4"]
    assert "Waiting 2: The daily limit is used up." in lines
    assert "Waiting 1: accepted by M-Pesa, result not here yet." in lines
    assert "tumaini waits: paused by p.njoroge (float audit)." in lines
    assert "Failed: loan 10493 KES 8,000, Not an M-Pesa number." in lines
    assert any(line.startswith("Review 1:") for line in lines)


def test_a_dry_run_says_what_would_be_paid_and_why_not(standing):
    ready = loan_report(10491, LoanOutcome.WOULD_PAY)
    held = loan_report(10495, LoanOutcome.HELD, reason="The product is not enabled")
    standing.process = ProcessReport(results=[processed(loans=[ready, held])])

    said = run("process_pending_loans", "--dry-run")

    assert standing.asked[0][1]["dry_run"] is True
    assert "DRY RUN: nothing is sent, nothing is written." in said
    assert "0722***646" in said
    assert "The product is not enabled" in said
    assert "Would pay 1 loan, KES 8,000." in said
    assert said.rstrip().endswith("Run it: manage.py process_pending_loans")
    make_partner("umoja")
    limited = run("process_pending_loans", "--dry-run", "--partner", "umoja", "--limit", "1")
    assert limited.rstrip().endswith("process_pending_loans --partner umoja --limit 1")


@pytest.mark.parametrize("name", PASSES)
def test_no_command_prints_a_full_number(standing, name):
    assert "722123646" not in run(name) + run(name, "--json")


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("fetch_pending_loans", "loanpoll.fetch/1"),
        ("process_pending_loans", "loanpoll.process/1"),
        ("scheduled_loan_sync", "loanpoll.sync/1"),
    ],
)
def test_json_is_one_document_with_the_apis_keys(standing, name, schema):
    document = json.loads(run(name, "--json"))

    assert document["schema"] == schema
    assert document["success"] is True
    assert document["partners"][0]["partnerSlug"] == "umoja"


def test_the_json_of_a_pass_is_not_cut(standing):
    loans = [loan_report(20_000 + number) for number in range(120)]
    standing.process = ProcessReport(results=[processed(loans=loans, paid=120)])

    document = json.loads(run("scheduled_loan_sync", "--json"))

    shown = document["details"]["processResults"]["results"]
    assert len(shown) == 120
    assert shown[0]["phoneNumber"] == "0722***646"


def test_the_options_reach_the_pass(standing):
    make_loan(make_partner("umoja"), loan_id=10491)
    make_partner("tumaini")

    run("process_pending_loans", "--partner", "umoja", "--partner", "tumaini", "--limit", "3")
    run("process_pending_loans", "--loan", "10491", "--budget", "2.5")
    run("scheduled_loan_sync", "--wait", "7", "--budget", "0")

    process, one, sync = (options for _, options in standing.asked)
    assert (process["partners"], process["limit"]) == (("umoja", "tumaini"), 3)
    assert (one["loan_id"], one["budget_seconds"]) == (10491, 2.5)
    assert one["partners"] == ("umoja",)  # to the others the loan is unknown
    assert (sync["wait_seconds"], sync["budget_seconds"]) == (7, 0)


@pytest.mark.parametrize("name", PASSES)
def test_an_unknown_partner_is_exit_2_and_nothing_is_done(standing, name):
    make_partner("umoja")

    with pytest.raises(CommandError, match=r"No partner 'umoya'\. Partners: umoja") as stopped:
        run(name, "--partner", "umoya")

    assert stopped.value.returncode == 2
    assert standing.asked == []


def test_a_database_that_cannot_be_used_is_exit_2(standing, monkeypatch):
    def away(*_, **__):
        raise OperationalError("no such table: partners")

    monkeypatch.setattr(Partner.objects, "values_list", away)

    with pytest.raises(CommandError, match="Nothing was done") as stopped:
        run("scheduled_loan_sync")

    assert stopped.value.returncode == 2


@pytest.mark.parametrize(
    ("trouble", "next_step"),
    [
        (OperationalError("no such table: partners"), "Next: manage.py migrate"),
        (ProgrammingError('relation "partners" does not exist'), "Next: manage.py migrate"),
        (OperationalError("couldn't get a connection after 20.00 sec"), "Look at DATABASE_URL"),
        (OperationalError("unable to open database file"), "Look at DATABASE_URL"),
    ],
)
def test_an_empty_database_and_one_that_is_away_have_different_ways_out(trouble, next_step):
    assert next_step in str(unusable_database(trouble))


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--cron",)])
def test_a_partner_that_could_not_be_served_is_exit_1(standing, arguments):
    standing.fetch.results[1].error = "Mifos refused the login (HTTP 401)"
    out = io.StringIO()

    with pytest.raises(CommandError, match="tumaini: Mifos refused the login") as stopped:
        call_command("scheduled_loan_sync", *arguments, stdout=out)

    assert stopped.value.returncode == 1
    assert "Mifos refused the login" in out.getvalue()


@pytest.mark.parametrize("name", PASSES)
def test_cron_hears_nothing_when_all_is_well(standing, name, capfd):
    assert run(name, "--cron") == ""
    assert capfd.readouterr() == ("", "")


def test_a_failed_loan_is_not_a_failed_pass(standing):
    run("process_pending_loans")  # no CommandError, so exit 0


@pytest.mark.parametrize("name", PASSES)
def test_with_no_partner_a_pass_says_so(monkeypatch, name):
    stand_in(monkeypatch)

    assert "No active partners found" in run(name)


@pytest.mark.parametrize(
    "arguments", [("--limit", "0"), ("--budget", "-1"), ("--budget", "inf"), ("--loan", "x")]
)
def test_an_option_that_cannot_be_meant_is_refused_with_an_example(standing, arguments):
    with pytest.raises(CommandError, match=r"is not a .*, such as \d"):
        run("process_pending_loans", *arguments)

    assert standing.asked == []


def test_the_loan_asked_for_is_told_and_no_other(standing):
    make_loan(make_partner(), loan_id=10491, hold_reason="needs_approval")

    said = run("process_pending_loans", "--loan", "10491")

    assert "Loan 10491 of umoja: Pending, A person must approve this payout." in said
    assert "The daily limit is used up" not in said


def test_a_loan_nobody_knows_is_exit_2_and_no_pass_begins(standing):
    make_partner("umoja")

    with pytest.raises(CommandError, match=r"Next: manage\.py fetch_pending_loans") as refusal:
        run("process_pending_loans", "--loan", "999")

    assert (refusal.value.returncode, standing.asked) == (2, [])


def test_a_dry_run_has_no_columns_for_what_it_does_not_do(standing):
    said = run("scheduled_loan_sync", "-n")

    assert re.search(r"^Partner +Waiting +Review +Time$", said, re.MULTILINE)


def test_a_key_is_shown_once_and_opens_the_door(monkeypatch):
    make_loan(make_partner("umoja"))
    make_loan(make_partner("tumaini"), 2)

    key = json.loads(run("create_api_key", "branch", "--partner", "umoja", "--json"))["key"]
    plain = run("create_api_key", "head office").strip()

    assert len(get("/api/loans", key=key).json()["results"]) == 1
    assert len(get("/api/loans", key=plain).json()["results"]) == 2
    stored = str(list(ApiKey.objects.values_list("id", "prefix", "hashed_key")))
    assert key.partition(".")[2] not in stored


@pytest.mark.parametrize("arguments", [("x" * 51,), ("  ",), ("ok", "--partner", "nobody")])
def test_a_key_that_cannot_be_made_is_not_made(arguments):
    with pytest.raises(CommandError):
        run("create_api_key", *arguments)

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("phone", "shown"),
    [("254722123646", "0722***646"), ("0722123646", "0722***646"), ("12345", "***"), ("", "")],
)
def test_a_number_is_masked_as_staff_say_it(phone, shown):
    assert presenting.local_masked(phone) == shown
