"""Tells a watcher outside that passes run: only the missing call shows that cron is dead."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from disbursements.alerts.channels import Undelivered, call
from disbursements.alerts.errands import Errand, patience_from_now


class Beat(StrEnum):
    """What is put behind HEARTBEAT_URL: the convention of Healthchecks."""

    START = "/start"
    SUCCESS = ""
    FAIL = "/fail"


def ping(beat: Beat, *, after: Errand | None = None) -> Errand | None:
    """Begin to call the watcher, `after` another call has ended; None when there is no watcher.

    A start that overtook its end would look like a pass that hangs.
    """
    if not settings.HEARTBEAT_URL:
        return None
    return Errand(partial(_ping, _address(settings.HEARTBEAT_URL, beat), after))


def _address(url: str, beat: Beat) -> str:
    """Put the word behind the path: a query belongs to the watcher."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}{beat}").geturl()


def _ping(url: str, after: Errand | None) -> None:
    if after is not None:
        after.trouble(until=patience_from_now())
    answer = call("GET", url)
    if not 200 <= answer.status < 300:
        raise Undelivered(f"the watcher answered {answer.status}")
