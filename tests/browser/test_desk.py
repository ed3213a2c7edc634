"""A morning at the desk: sign in, search, filter, open a loan, with and without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from loans.models import LoanTracking
from tests.browser.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Loans = dict[str, Any]


def test_signing_in_leads_to_the_list(desk: Page):
    expect(desk.get_by_role("heading", name="Loans", level=1)).to_be_visible()
    expect(desk.locator("#loans tbody tr")).to_have_count(3)
    expect(desk.locator("#updated")).to_contain_text("EAT")


def test_a_wrong_password_is_told_and_nothing_opens(page: Page, loans: Loans):
    page.goto("/loan-tracking")
    page.get_by_label("User name").fill("jane.o")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("correct username and password")


@pytest.mark.parametrize("phone", ["0712 345 678", "+254712345678"])
def test_a_phone_number_opens_its_loan(desk: Page, loans: Loans, phone: str):
    desk.keyboard.press("/")
    desk.keyboard.type(phone)
    desk.keyboard.press("Enter")

    desk.wait_for_url(f"**/loan-tracking/{loans['unknown'].pk}")
    expect(desk.get_by_role("heading", name="Loan 10482")).to_be_visible()
    expect(desk.locator(".state")).to_contain_text("Do not pay by hand")


def test_a_filter_applies_at_once_and_its_chip_takes_it_away(desk: Page):
    desk.get_by_label("Date", exact=True).select_option("Today")
    desk.wait_for_url("**/loan-tracking?when=today")

    desk.get_by_role("link", name="Found: today").click()

    expect(desk.locator("#loans tbody tr")).to_have_count(3)


def test_several_statuses_apply_when_their_list_closes(desk: Page):
    desk.locator("#status summary").click()
    desk.get_by_label("Pending").check()
    desk.get_by_label("Disbursed").check()
    desk.keyboard.press("Escape")

    expect(desk.locator("#loans tbody tr")).to_have_count(2)
    assert desk.url.endswith("/loan-tracking?status=pending&status=disbursed")
    expect(desk.get_by_role("link", name="Status: Pending")).to_be_visible()


def test_a_card_shows_the_loans_it_counts(desk: Page):
    desk.locator(".card-needs_review").click()

    expect(desk.locator("#loans tbody tr")).to_have_count(1)
    expect(desk.locator("#loans")).to_contain_text("Achieng Mary")


def test_the_loan_page_shows_three_books_and_no_way_to_pay_again(desk: Page):
    desk.get_by_role("link", name="10482").click()

    expect(desk.get_by_role("heading", name="Three books")).to_be_visible()
    expect(desk.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(desk.get_by_role("link", name="Pay again")).to_have_count(0)
    expect(desk.get_by_role("button", name="Pay again")).to_have_count(0)


def test_a_changed_loan_is_swapped_in_and_the_focus_stays(desk: Page, loans: Loans):
    row = desk.locator(f"#loan-{loans['pending'].pk}")
    row.get_by_role("link").focus()
    LoanTracking.objects.filter(pk=loans["pending"].pk).update(hold_reason="cents")

    desk.keyboard.press("r")  # off
    desk.keyboard.press("r")  # on again: asks at once

    expect(row).to_contain_text("The amount has cents")
    expect(row.get_by_role("link")).to_be_focused()
    expect(desk.locator("#said")).to_have_text("1 loan changed")


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("place", ["list", "loan", "partners"])
def test_no_page_scrolls_sideways(desk: Page, loans: Loans, width: int, place: str):
    places = {
        "list": "/loan-tracking?status=needs_review",
        "loan": f"/loan-tracking/{loans['unknown'].pk}",
        "partners": "/partners",
    }
    desk.set_viewport_size({"width": width, "height": 800})
    desk.goto(places[place])

    assert desk.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_works_without_javascript(chromium: Browser, live_server: Any, loans: Loans):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/loan-tracking")
    page.get_by_label("User name").fill("jane.o")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#status summary").click()
    page.get_by_label("Disbursed").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#loans tbody tr")).to_have_count(1)
    page.get_by_label("Search").fill("10482")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="Loan 10482")).to_be_visible()
    page.locator(".who summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Loan Poll")).to_be_visible()
    context.close()
