"""Starts what the demo needs around it, and stops all of it again: the sandbox and the site."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.utils import timezone

from demo.cast import Cast
from demo.environment import PROJECT
from partners.loading import load_partners
from sandbox.control import SandboxControl
from sandbox.running import sandbox_process

START_SECONDS = 30.0
STOP_SECONDS = 8.0


class SiteDied(Exception):
    """The web server did not come up. The text says where its words are."""


@contextmanager
def sandbox_with(cast: Cast, *, mifos_url: str, callback_delay: float) -> Iterator[SandboxControl]:
    """Run the sandbox as its own process with the demo's world in it."""
    with sandbox_process(
        mifos_port=_port(mifos_url),
        mpesa_port=_port(settings.MPESA_SANDBOX_URL),
        world=cast.document(),
        arguments=("--callback-delay", str(callback_delay)),
    ) as box:
        yield box


@contextmanager
def site(folder: Path) -> Iterator[None]:
    """Serve the site at PUBLIC_BASE_URL by gunicorn, as its own process. Raises SiteDied."""
    log = folder / "site.log"
    command = [sys.executable, "-m", "gunicorn", "loanpoll_site.wsgi:application"]
    command += ["--bind", f"127.0.0.1:{_port(settings.PUBLIC_BASE_URL)}"]
    command += ["--workers", "1", "--threads", "8", "--log-level", "warning"]
    with log.open("w") as words:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops things in order.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own arguments
            command, cwd=PROJECT, stdout=words, stderr=words, start_new_session=True
        )
    try:
        _wait_for_site(process, log)
        yield
    finally:
        _stop(process)


def connect_lenders(cast: Cast, box: SandboxControl) -> None:
    """Load the demo's partners as an administrator does, from a file."""
    rows: list[dict[str, Any]] = [lender.partner_row(box.mifos_url) for lender in cast.lenders]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "partners.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(rows), encoding="utf-8")
        load_partners(path, now=timezone.now())


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Let a kill, or the closing of the terminal, stop the demo as Ctrl-C does. The event is set
    then: the interruption itself may be lost in whatever it interrupts."""
    asked = threading.Event()

    def stop(number: int, frame: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_to(path: Path) -> None:
    """Send this process's log to a file: the terminal belongs to the story."""
    handler = logging.FileHandler(path, mode="w")
    root = logging.getLogger()
    handler.setFormatter(root.handlers[0].formatter if root.handlers else None)
    root.handlers = [handler]


def _wait_for_site(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < until and process.poll() is None:
            try:
                if session.get(f"{settings.PUBLIC_BASE_URL}/readyz", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
    raise SiteDied(f"The site did not start; its log is {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
