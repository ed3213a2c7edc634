"""A headless Chromium for the browser tests, and a desk with a few loans in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from tests.browser.hands import Desk
from tests.browser.places import sign_in
from tests.journeys.conftest import open_stage, stage

__all__ = ["open_stage", "stage"]  # the sandbox, for the browser to look at

PASSWORD = "a-good-long-password"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Without one the tests are skipped, unless they are required."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        _without_browser()
    # Playwright's loop runs in this thread, and Django takes that for async code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def _without_browser() -> None:
    told = "no Chromium or Chrome here, so this did not run: apt-get install chromium"
    if os.environ.get("LOANPOLL_REQUIRE_BROWSER") == "1":
        pytest.fail(f"LOANPOLL_REQUIRE_BROWSER=1, and {told}")
    pytest.skip(told)


@pytest.fixture
def loans(transactional_db: None) -> dict[str, Any]:
    """A partner, a user, and three loans."""
    User.objects.create_superuser("jane.o", password=PASSWORD)
    partner = make_partner(slug="umoja", name="Umoja Sacco")
    make_product(partner)
    unknown = make_loan(
        partner,
        loan_id=10482,
        client_name="Achieng Mary",
        phone_number="254712345678",
        status="processing_disbursement",
        review_reason="outcome_unknown",
    )
    make_attempt(unknown, status="unknown")
    return {
        "unknown": unknown,
        "pending": make_loan(partner, client_name="Kamau Peter"),
        "disbursed": make_loan(partner, client_name="Wanjiru Grace", status="disbursed"),
    }


@pytest.fixture
def page(chromium: Browser, live_server: Any) -> Iterator[Page]:
    """A page of a fresh visitor. A script error or a refused resource fails the test."""
    context = chromium.new_context(base_url=live_server.url, locale="en-GB")
    context.set_default_timeout(10_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda message: troubles.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def desk(page: Page, loans: dict[str, Any]) -> Page:
    """The list, signed in."""
    page.goto("/loan-tracking")
    page.get_by_label("User name").fill("jane.o")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/loan-tracking")
    return page


@pytest.fixture
def people(transactional_db: None) -> dict[str, User]:
    """Two people who may do everything with loans, and none of it to their own requests."""
    found = {}
    for name in ("jane.o", "peter.n"):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.groups.set(Group.objects.filter(name__in=["Operator", "Approver"]))
        found[name] = user
    return found


@pytest.fixture
def desk_of(chromium: Browser, live_server: Any, people: dict[str, User]) -> Iterator[Desk]:
    """Opens a browser of its own for a person, signed in. A script error fails the test."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_desk(user: str, **options: Any) -> Page:
        context = chromium.new_context(base_url=live_server.url, locale="en-GB", **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        sign_in(page, user)
        return page

    yield open_desk
    for context in contexts:
        context.close()
    assert troubles == []
