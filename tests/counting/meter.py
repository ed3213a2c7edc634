"""Counts database statements of every thread, and the sandbox's HTTP calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


@dataclass
class Statements:
    """How many statements were sent, whichever thread sent them."""

    count: int = 0
    texts: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        with self._lock:
            self.count += 1
            self.texts.append(sql)
        return execute(sql, params, many, context)


@contextmanager
def counted_statements() -> Iterator[Statements]:
    """Count on the connections that are made meanwhile, and on this thread's own."""
    statements = Statements()
    metered: list[BaseDatabaseWrapper] = []

    def meter(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if statements not in connection.execute_wrappers:
            connection.execute_wrappers.append(statements)
            metered.append(connection)

    connection_created.connect(meter)
    meter(connection)
    try:
        yield statements
    finally:
        connection_created.disconnect(meter)
        for each in metered:
            if statements in each.execute_wrappers:
                each.execute_wrappers.remove(statements)


def http_calls(sandbox: Any) -> dict[str, int]:
    """Return the calls that the sandbox has had so far, by `system call`."""
    counts = sandbox.requests()["counts"]
    return {
        f"{system} {call}": number for system in counts for call, number in counts[system].items()
    }


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return what was called in between."""
    return {
        call: number - before.get(call, 0)
        for call, number in after.items()
        if number != before.get(call, 0)
    }
