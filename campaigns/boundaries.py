"""Numbers every boundary a life crosses: each commit, each byte out, each answer. And dies there.

All of it is done from outside, in the forked child: the product has no code for being killed.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from campaigns.shared import Shared

Cross = Callable[[str], None]
WRITES = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?([a-z_]+)', re.IGNORECASE)


class Counter:
    """Counts the boundaries of one kind of life, and ends or stops the life at a given one."""

    def __init__(self, kind: str, shared: Shared, trace: Path | None) -> None:
        self._kind = kind
        self._shared = shared
        self._trace = trace
        self._lock = threading.Lock()

    def cross(self, label: str) -> None:
        with self._lock:
            number = int(self._shared.add(self._kind))
            kill = number == self._shared.get(f"kill_{self._kind}")
            stop = self._kind == "pass" and number == self._shared.get("stop_pass")
            if self._trace is not None or kill or stop:
                self._write(f"{self._kind} {number} {label}\n")
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)

    def _write(self, line: str) -> None:
        if self._trace is not None:
            with self._trace.open("a") as out:
                out.write(line)


def watch(cross: Cross) -> None:
    """Call `cross` at every boundary of this process from now on."""
    _watch_database(cross)
    _watch_wire(cross)


def _watch_database(cross: Cross) -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    commit: Any = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # no stub has it
    execute: Any = CursorWrapper._execute_with_wrappers  # type: ignore[attr-defined]  # as above

    def watched_execute(self: Any, sql: Any, params: Any, many: bool, executor: Any) -> Any:
        found = WRITES.match(str(sql))
        if found is None:
            return execute(self, sql, params, many, executor)
        if self.db.in_atomic_block:
            self.db.campaign_wrote = found[2]
            return execute(self, sql, params, many, executor)
        cross(f"before autocommit {found[2]}")
        result = execute(self, sql, params, many, executor)
        cross(f"after autocommit {found[2]}")
        return result

    def watched_commit(self: Any) -> Any:
        wrote = getattr(self, "campaign_wrote", "")
        self.campaign_wrote = ""
        if wrote:
            cross(f"before commit {wrote}")
        result = commit(self)
        if wrote:
            cross(f"after commit {wrote}")
        return result

    setattr(CursorWrapper, "_execute_with_wrappers", watched_execute)  # noqa: B010 - for mypy
    setattr(BaseDatabaseWrapper, "_commit", watched_commit)  # noqa: B010 - as above


def _watch_wire(cross: Cross) -> None:
    from wire.connection import PlainConnection
    from wire.sending import Wire

    send, put = Wire.send, PlainConnection.send

    def watched_send(self: Wire, method: str, url: str, **request: Any) -> Any:
        label = f"{method} {call_name(url, request.get('params'))}"
        cross(f"before {label}")
        try:
            answer = send(self, method, url, **request)
        except Exception:
            cross(f"no answer to {label}")
            raise
        cross(f"answered {label}")
        return answer

    def watched_put(self: PlainConnection, data: Any) -> None:
        put(self, data)
        cross("bytes out")

    setattr(Wire, "send", watched_send)  # noqa: B010 - mypy knows that methods are not to be set
    setattr(PlainConnection, "send", watched_put)  # noqa: B010 - as above


def call_name(url: str, params: Any = None) -> str:
    """Return a path without what differs from one run to the next."""
    path = re.sub(r"[0-9]+", "#", urlsplit(url).path.removeprefix("/fineract-provider/api/v1"))
    command = (params or {}).get("command", "") if isinstance(params, dict) else ""
    return f"{path}?{command}" if command else path
