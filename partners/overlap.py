"""Overlaps the waiting on HTTP in threads, and keeps the database out of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


class NetworkInsideTransaction(RuntimeError):
    """A network call was about to be made inside a database transaction. That is a bug."""


class Patience:
    """Counts failures in a row of one peer: a pass must not wait out every time-out there is."""

    def __init__(self, limit: int = 3, *, deadline: float | None = None) -> None:
        self._limit = limit
        self._deadline = deadline  # monotonic seconds
        self._failures = 0
        self._lock = threading.Lock()

    @property
    def is_lost(self) -> bool:
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        return is_late or self._failures >= self._limit

    def note(self, *, success: bool) -> None:
        """A success begins the count anew."""
        with self._lock:
            self._failures = 0 if success else self._failures + 1

    def while_kept(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items until patience is lost; what is left over is for the next pass."""
        for item in items:
            if self.is_lost:
                return
            yield item


def leave_database() -> None:
    """Say that a long wait comes now: no transaction is open, and the connection goes back.

    A thread that kept its connection while it waits on HTTP, or on other threads, would starve the
    pool (docs/decisions).
    """
    blocks = connection.atomic_blocks
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise NetworkInsideTransaction
    if not blocks and connection.vendor == "postgresql":
        connection.close()


def overlap(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yield `function(item)` for each item as they finish, at most `workers` at a time.

    `items` is read only as fast as workers come free, so it may be endless or stop by itself. An
    exception of one item is logged and skips that item: the others go on.
    """
    source = iter(items)
    finished: SimpleQueue[Future[Result]] = SimpleQueue()
    running = 0
    # The pool is left first, when all that runs is done.
    with (
        closing(_KeptConnections()) as kept,
        ThreadPoolExecutor(max_workers=workers, thread_name_prefix="overlap") as pool,
    ):
        while True:
            for item in source:
                work = pool.submit(_with_own_connection, function, item, kept)
                work.add_done_callback(finished.put)
                running += 1
                if running >= workers:
                    break
            if not running:
                return
            # Who waits for threads that need the pool must hold no part of it.
            leave_database()
            yield from _result(finished.get())
            running -= 1


def _result(done: Future[Result]) -> Iterator[Result]:
    try:
        yield done.result()
    except Exception:
        logger.exception("one piece of work failed; the others go on")


class _KeptConnections:
    """SQLite's connections of the threads: one for each thread, not a new one for each item."""

    def __init__(self) -> None:
        self._kept: dict[int, BaseDatabaseWrapper] = {}

    def keep(self) -> None:
        """Keep this thread's connection until the end."""
        if threading.get_ident() not in self._kept:
            wrapper = connections[DEFAULT_DB_ALIAS]
            wrapper.inc_thread_sharing()  # `close` comes from another thread
            self._kept[threading.get_ident()] = wrapper

    def close(self) -> None:
        """Close them all, when no thread works any more."""
        for wrapper in self._kept.values():
            wrapper.close()


def _with_own_connection(
    function: Callable[[Item], Result], item: Item, kept: _KeptConnections
) -> Result:
    try:
        return function(item)
    finally:
        if connection.vendor == "sqlite":
            kept.keep()
        elif not connection.in_atomic_block:
            connection.close()  # back to the pool
