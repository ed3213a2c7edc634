"""What every page of the desk shows around its own matter: banners, environment, the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from disbursements.pages.banners import banners
from disbursements.pages.standing import Standing, environment
from disbursements.pages.wording import age, clock_seconds


def frame(found: list[Standing], *, now: datetime, room: str) -> dict[str, Any]:
    """Return the context of the page's frame. `room` is the entry of the menu that is lit."""
    return {
        "room": room,
        "banners": banners(found),
        "environment": environment(found),
        "updated": clock_seconds(now),
        "polled": last_poll(found, now=now),
        "now": now,
    }


def last_poll(found: list[Standing], *, now: datetime) -> str:
    """Return how long ago the partner that was polled longest ago was polled."""
    active = [standing.partner for standing in found if standing.partner.is_active]
    times = [one.last_poll_succeeded_at for one in active if one.last_poll_succeeded_at]
    if not times:
        return ""
    return f"{age(now - min(times))} ago"


def poll_minutes() -> str:
    """Return the poll interval in minutes, for the texts."""
    return f"{settings.LOANPOLL_POLL_INTERVAL / 60:g}"
