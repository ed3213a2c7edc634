"""Processes of the product, forked from one that has Django ready: passes, a web server, people."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaigns.boundaries import Counter, Cross, watch
from campaigns.shared import Shared

LONGEST_LIFE_SECONDS = 90.0
TOKEN_LEASE_SECONDS = 3.0  # above the longest call of the campaigns' settings
STACKS_SECONDS = 0.5  # for a hung life to write the stacks of its threads
CRASHED = 3
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2): a campaign that is ended leaves nobody behind
Body = Callable[[], None]
Setting = Callable[[], None]


@dataclass(frozen=True, slots=True)
class End:
    """How a life ended: its exit code, or the signal that ended it; neither when it hung."""

    code: int | None = None
    signal: int | None = None

    @property
    def was_killed(self) -> bool:
        return self.signal == signal.SIGKILL


@dataclass(slots=True)
class Life:
    """One process of the product that runs now."""

    pid: int
    kind: str
    end: End | None = None

    def wait(self, seconds: float = LONGEST_LIFE_SECONDS) -> End:
        """Wait for its end; one that hangs is ended, and says so."""
        if self.end is None:
            hangs = not self.ends_within(seconds)
            if hangs:
                self._tell_where_it_hangs()
                os.kill(self.pid, signal.SIGKILL)
            status = os.waitpid(self.pid, 0)[1]
            self.end = End() if hangs else _end_of(status)
        return self.end

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end, and do nothing about it."""
        handle = os.pidfd_open(self.pid)
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)

    def _tell_where_it_hangs(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)
        time.sleep(STACKS_SECONDS)

    def stopped_or_ended(self) -> bool:
        """Wait until it stops itself or ends. True when it is stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self.end = _end_of(status)
        return False

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self.end is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


def _end_of(status: int) -> End:
    if os.WIFSIGNALED(status):
        return End(signal=os.WTERMSIG(status))
    return End(code=os.WEXITSTATUS(status))


@dataclass(kw_only=True)
class Nursery:
    """Forks lives. The parent has Django set up and never touches the database."""

    shared: Shared
    folder: Path
    web_socket: socket.socket
    traces: bool = False

    @property
    def errors(self) -> Path:
        return self.folder / "errors.jsonl"

    @property
    def stacks(self) -> Path:
        return self.folder / "stacks"

    def take_stacks(self) -> str:
        """Return where the threads of a life that hung were, as each wrote it when asked."""
        told = self.stacks.read_text() if self.stacks.exists() else ""
        self.stacks.unlink(missing_ok=True)
        return told

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    def fork(self, kind: str, body: Body, *, settings: Setting | None = None) -> Life:
        """Start one life that runs `body`. `kind` is the counter of its boundaries, if watched."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return Life(pid, kind)
        self._live(kind, body, settings)
        raise AssertionError("a life came back")

    def _live(self, kind: str, body: Body, settings: Setting | None) -> None:
        code = CRASHED
        try:
            self._begin(kind)
            if settings is not None:
                settings()
            body()
            code = 0
        except BaseException:
            self.write_error(traceback.format_exc(limit=-8))
        finally:
            os._exit(code)

    def _begin(self, kind: str) -> None:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.register(signal.SIGUSR1, file=self.stacks.open("a"), all_threads=True)
        shift_clock(self.shared)
        logging.getLogger().handlers = [_ErrorKeeper(self)]
        if kind in ("pass", "web"):
            watch(self.cross(kind))

    def cross(self, kind: str) -> Cross:
        return Counter(kind, self.shared, self.trace).cross

    def write_error(self, text: str) -> None:
        with self.errors.open("a") as out:
            out.write(json.dumps({"error": text}) + "\n")

    def take_errors(self) -> list[str]:
        """Return what went wrong unexpectedly in the lives since the last look."""
        if not self.errors.exists():
            return []
        lines = self.errors.read_text().splitlines()
        self.errors.unlink()
        return [str(json.loads(line)["error"]) for line in lines]

    def take_trace(self) -> list[str]:
        if not self.trace.exists():
            return []
        lines = self.trace.read_text().splitlines()
        self.trace.unlink()
        return lines


class _ErrorKeeper(logging.Handler):
    """An exception that the product logs is one nobody foresaw: kept for the verdict."""

    def __init__(self, nursery: Nursery) -> None:
        super().__init__(logging.ERROR)
        self._nursery = nursery

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            told = "".join(traceback.format_exception(record.exc_info[1], limit=-6))
            self._nursery.write_error(f"{record.getMessage()}\n{told}")


def shift_clock(shared: Shared) -> None:
    """Let this process's clock run ahead by the shared offset; waiting stays real."""
    from datetime import UTC, datetime, timedelta

    from django.utils import timezone

    def now() -> datetime:
        return datetime.now(tz=UTC) + timedelta(seconds=shared.get("clock"))

    setattr(timezone, "now", now)  # noqa: B010 - mypy knows that a function is not to be set
    _shorten_the_token_lease()


def _shorten_the_token_lease() -> None:
    """A life killed while it fetched the token keeps the others waiting for its lease, truly:
    that is shortened as the other settings are."""
    from datetime import timedelta

    from mpesa import tokens

    setattr(tokens, "LEASE", timedelta(seconds=TOKEN_LEASE_SECONDS))  # noqa: B010 - as above


def one_pass() -> None:
    """What cron starts: the body of `scheduled_loan_sync`."""
    from disbursements.models import TriggeredBy
    from disbursements.passes import run_sync

    run_sync(triggered_by=TriggeredBy.SCHEDULE)


def serve_web(listening: socket.socket, cross: Cross, *, threaded: bool) -> Body:
    """Return a life that answers callbacks, hooks and API calls on a socket of its parent's."""

    def serve() -> None:
        from campaigns.web import serve_on

        serve_on(listening, cross, threaded=threaded)

    return serve


def listen() -> socket.socket:
    """Return a listening socket on a free port of this machine."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    return listening


Json = dict[str, Any]
