"""The whole way, seen from the desk: a real sandbox pays, and people watch and settle it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from disbursements.models import AttemptStatus
from loans.models import LoanStatus
from tests.browser.hands import Desk, find, tab_to
from tests.journeys.conftest import Stage, run

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

People = dict[str, User]
REFRESH = 15_000  # ms between two looks of the list at what has changed


def local(stage: Stage) -> str:
    """Return the client's phone number as he says it on the telephone."""
    rest = (stage.sample.payable[0].msisdn or "")[3:]
    return f"0{rest[:3]} {rest[3:6]} {rest[6:]}"


def open_loan(stage: Stage, page: Page) -> None:
    page.goto("/loan-tracking")
    find(page, local(stage))


def test_a_loan_is_found_by_its_phone_and_watched_until_it_is_paid(
    people: People, desk_of: Desk, stage: Stage, tmp_path: Path
):
    stage.sandbox.options(hold_callbacks=True)
    run("fetch_pending_loans")
    page = desk_of("jane.o")
    page.clock.install()
    page.keyboard.press("/")
    page.keyboard.type(local(stage))
    page.keyboard.press("Enter")
    expect(page.locator(".state-why")).to_contain_text("The next pass")

    page.goto("/loan-tracking")
    row = page.locator("#loans tbody tr")
    row.get_by_role("link").focus()
    stage.sync(quiet=False)
    page.clock.run_for(REFRESH)
    expect(row).to_contain_text("Accepted by M-Pesa")  # by itself
    stage.sandbox.release_callbacks()
    stage.settle()
    stage.sync()
    receipt = stage.sandbox.debits()[0]["receipt"]
    page.clock.run_for(REFRESH)
    expect(row).to_contain_text(f"Receipt {receipt}, in Mifos X")
    expect(row.get_by_role("link")).to_be_focused()
    expect(page.locator(".card-disbursed_today .card-count")).to_have_text("1")

    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    download.value.save_as(tmp_path / "loans.csv")
    lines = (tmp_path / "loans.csv").read_text(encoding="utf-8-sig").splitlines()
    [exported] = csv.DictReader(lines)
    assert exported["M-Pesa Receipt"] == receipt
    assert exported["Loan ID"] == str(stage.first)
    stage.books()


def test_nobody_approves_what_he_asked_for_and_another_does_without_javascript(
    people: People, desk_of: Desk, stage: Stage
):
    stage.sync_until(stage.is_done)
    stage.sandbox.command(stage.tenant, stage.first, "undodisbursal")
    stage.sync()
    jane = desk_of("jane.o")
    open_loan(stage, jane)
    jane.get_by_role("link", name="Open a new cycle…").click()
    jane.get_by_label("Reason").fill("The client paid it back")
    jane.locator("#ask button[type=submit]").click()
    stage.sync()
    jane.goto(f"/loan-tracking/{stage.loan().pk}/approve")
    expect(jane.get_by_text("you asked for it; another person must approve it.")).to_be_visible()
    assert len(stage.sandbox.debits()) == 1

    peter = desk_of("peter.n", java_script_enabled=False)
    peter.goto(f"/loan-tracking/{stage.loan().pk}")
    peter.get_by_role("link", name="Approve…").click()
    peter.get_by_label("Reason").fill("I have seen the repayment")
    peter.locator("#ask button[type=submit]").click()
    stage.sync_until(lambda: stage.loan().status == LoanStatus.DISBURSED)

    peter.reload()
    expect(peter.locator(".state-why")).to_contain_text("in Mifos X since")
    assert len(stage.books().debits) == 2


def test_two_people_settle_a_payment_of_which_mpesa_says_nothing_with_keys_alone(
    people: People, desk_of: Desk, stage: Stage
):
    stage.ask_nothing_yet()
    stage.sandbox.add_fault("b2c", "reset_after")  # paid, and the answer is lost
    stage.sandbox.add_fault("callback", "lost")
    stage.sync()
    receipt = stage.sandbox.debits()[0]["receipt"]
    jane, peter = desk_of("jane.o"), desk_of("peter.n")
    open_loan(stage, jane)
    expect(jane.get_by_role("link", name="Pay again…")).to_have_count(0)
    tab_to(jane, "Settle by hand…")
    jane.keyboard.press("Enter")
    jane.wait_for_url("**/resolve")
    jane.get_by_label("paid", exact=True).focus()
    jane.keyboard.press("Space")
    jane.keyboard.press("Tab")
    jane.keyboard.type(receipt)
    jane.keyboard.press("Tab")
    jane.keyboard.type("Line 12 of the statement")
    jane.keyboard.press("Enter")
    expect(jane.get_by_text("Nothing moves until another person confirms it.")).to_be_visible()
    assert stage.attempt().status != AttemptStatus.PAID

    open_loan(stage, peter)
    tab_to(peter, "Confirm the outcome…")
    peter.keyboard.press("Enter")
    peter.wait_for_url("**/confirm")
    peter.get_by_label("Reason").focus()
    peter.keyboard.type("Same line, seen by me")
    peter.keyboard.press("Enter")
    expect(peter.get_by_text("Settled as paid.")).to_be_visible()
    stage.sync_until(stage.is_done)

    peter.reload()
    expect(peter.locator(".books")).to_contain_text(receipt)
    expect(peter.locator(".differs")).to_have_count(0)
    stage.books()
