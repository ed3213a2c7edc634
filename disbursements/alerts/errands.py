"""Deliveries in threads of their own: a pass waits for them a moment, and never longer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Thread

from disbursements.alerts.channels import Undelivered

logger = logging.getLogger(__name__)
PATIENCE_SECONDS = 5.0


def patience_from_now() -> float:
    """Return until when (monotonic seconds) a pass waits for its deliveries."""
    return time.monotonic() + PATIENCE_SECONDS


class Errand:
    """One delivery, begun at once. It touches no database, and dies with the process."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._trouble = "no answer in time"
        self._thread = Thread(target=self._run, name="alert", daemon=True)
        self._thread.start()

    def trouble(self, *, until: float) -> str:
        """Wait until then at most; return what went wrong, empty when it was delivered."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return self._trouble

    def _run(self) -> None:
        try:
            self._work()
        except Undelivered as exc:
            self._trouble = str(exc)
        except Exception as exc:
            logger.exception("a delivery failed inside Loan Poll")
            self._trouble = f"it failed inside Loan Poll ({type(exc).__name__}); see the log"
        else:
            self._trouble = ""
