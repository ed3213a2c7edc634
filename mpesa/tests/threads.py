"""Running the same call in many threads at once, each with its own database connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

Answer = TypeVar("Answer")


def at_once(times: int, call: Callable[[], Answer]) -> list[Answer]:
    """Return what `times` threads got that started `call` together."""
    start = threading.Barrier(times)

    def run(_: int) -> Answer:
        try:
            start.wait(timeout=10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))
