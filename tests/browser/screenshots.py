"""Takes every page and state at two widths into docs/screenshots. Run by script/screenshots."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.places import EMPTY_PLACES, PLACES, Place, sign_in
from tests.browser.scene import PASSWORD, Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTHS = {1280: 900, 375: 760}
TALLEST = 1700
COLOURS = 96


def test_every_page_and_state(chromium: Browser, live_server: Any, transactional_db: None):
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("LOANPOLL_SCREENSHOTS", "")
    User.objects.create_superuser("jane.o", password=PASSWORD)
    take_all(chromium, live_server.url, EMPTY_PLACES, Scene(), wanted)
    User.objects.all().delete()
    take_all(chromium, live_server.url, PLACES, Scene().build(), wanted)


def take_all(
    browser: Browser, url: str, places: tuple[Place, ...], scene: Scene, wanted: str
) -> None:
    for user in {place.user: None for place in places}:
        context = browser.new_context(
            base_url=url, reduced_motion="reduce", locale="en-GB", timezone_id="Africa/Nairobi"
        )
        page = context.new_page()
        if user:
            sign_in(page, user)
        for place in places:
            if place.user == user and wanted in place.name:
                take(page, place, scene)
        context.close()


def take(page: Page, place: Place, scene: Scene) -> None:
    """Go there and keep what is seen at each width."""
    page.unroute_all()
    page.set_viewport_size({"width": 1280, "height": 900})
    place.walk(page, scene)
    page.wait_for_load_state("networkidle")
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(150)
        keep(page.screenshot(full_page=True), FOLDER / f"{place.name}-{width}.png")


def keep(seen: bytes, file: Path) -> None:
    """Write the picture, down to a limit and in few colours: the files stay small."""
    picture = Image.open(io.BytesIO(seen)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, TALLEST)))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
