"""Goes around a pass: the watcher hears of it, and staff hear what has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from django.utils import timezone

from disbursements.alerts.errands import Errand, patience_from_now
from disbursements.alerts.heartbeat import Beat, ping
from disbursements.alerts.saying import say_changes
from disbursements.reports import SyncReport

logger = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")


def attended(run: Callable[Arguments, SyncReport]) -> Callable[Arguments, SyncReport]:
    """Return the pass with its heartbeat and its alerts, which can neither stop nor fail it."""

    @wraps(run)
    def run_attended(*args: Arguments.args, **kwargs: Arguments.kwargs) -> SyncReport:
        if kwargs.get("dry_run"):
            return run(*args, **kwargs)
        start = _attend_to_start()
        try:
            report = run(*args, **kwargs)
        except Exception:
            _attend_to_end(start, success=False)
            raise
        _attend_to_end(start, success=report.success)
        return report

    return run_attended


def _attend_to_start() -> Errand | None:
    try:
        return ping(Beat.START)
    except Exception:
        logger.exception("the heartbeat failed; the pass goes on")
        return None


def _attend_to_end(start: Errand | None, *, success: bool) -> None:
    try:
        beat = ping(Beat.SUCCESS if success else Beat.FAIL, after=start)
        until = patience_from_now()
        say_changes(timezone.now())
        trouble = beat.trouble(until=until) if beat else ""
        if trouble:
            logger.warning("the heartbeat did not arrive: %s", trouble)
    except Exception:
        logger.exception("the alerts failed; the pass itself did not")
