"""What the people of the browser tests do again and again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

Desk = Callable[..., Page]


def find(page: Page, phone: str) -> None:
    page.get_by_label("Search").fill(phone)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/loan-tracking/\d+$"))


def tab_to(page: Page, text: str) -> None:
    """Press Tab until what has the focus says `text`, and shows that it has it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring == "solid"
            return
    pytest.fail(f"{text} is not reached with Tab")
