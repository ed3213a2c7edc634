"""Every page and state of the desk, looked at by axe, wide and narrow: no violations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.places import EMPTY_PLACES, PLACES, Place, sign_in
from tests.browser.scene import PASSWORD, Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
WIDTHS = {1280: 900, 375: 760, 320: 600}
AXE_AT = (1280, 320)  # 375 is the layout of 320 with a little more room
RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const where = (one) => one.nodes.map((node) => node.target.join(" ")).join(", ");
  return found.violations.map((one) => `${one.id}: ${one.help}: ${where(one)}`);
}"""


def look(page: Page, place: Place) -> list[str]:
    """Return what axe says against the page, wide and narrow, and where it scrolls sideways."""
    page.wait_for_load_state("load")
    page.evaluate(AXE)  # not a script of the page: the content policy lets none in
    found = []
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        if width in AXE_AT:
            found += [f"{place.name} at {width}: {violation}" for violation in page.evaluate(RUN)]
        if not fits(page, width):
            found.append(f"{place.name}: it scrolls sideways at {width}")
    return found


def fits(page: Page, width: int) -> bool:
    """Is nothing wider than the window, once the charts have been drawn anew?"""
    try:
        page.wait_for_function(
            "width => document.documentElement.scrollWidth <= width", arg=width, timeout=2000
        )
    except PlaywrightTimeout:
        return False
    return True


def look_at_all(browser: Browser, url: str, places: tuple[Place, ...], scene: Scene) -> list[str]:
    found = []
    for user in {place.user: None for place in places}:
        context = browser.new_context(base_url=url, reduced_motion="reduce", locale="en-GB")
        page = context.new_page()
        if user:
            sign_in(page, user)
        for place in (one for one in places if one.user == user):
            page.unroute_all()
            page.set_viewport_size({"width": 1280, "height": 900})
            place.walk(page, scene)
            found += look(page, place)
        context.close()
    return found


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the pages are the same on both databases"
)
def test_no_page_in_any_state_breaks_a_rule_of_access(
    chromium: Browser, live_server: Any, transactional_db: None
):
    found = look_at_all(chromium, live_server.url, PLACES, Scene().build())

    assert not found, "\n".join(found)


def test_the_first_minutes_break_no_rule_of_access(
    chromium: Browser, live_server: Any, transactional_db: None
):
    User.objects.create_superuser("jane.o", password=PASSWORD)

    found = look_at_all(chromium, live_server.url, EMPTY_PLACES, Scene())

    assert not found, "\n".join(found)
