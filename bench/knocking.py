"""Delivers letters to Safaricom's door and times the answers, alone or beside forged ones."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from bench.forging import forgers

TIMEOUT_SECONDS = 30
WARM_UP_FORGERS = 4
WARM_UP_SECONDS = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """How the door answered true letters."""

    letters: int
    callers: int
    per_second: float
    median_ms: float
    p99_ms: float
    forged_per_second: float


def deliver(letters: list[dict[str, Any]], *, callers: int, forged: int) -> Heard:
    """Deliver each letter once, `callers` at a time, beside so many endless forgers."""
    own = threading.local()
    times: list[float] = []

    def send(letter: dict[str, Any]) -> None:
        session = _session_of(own)
        began = time.monotonic()
        answer = session.post(
            letter["url"],
            data=letter["body"].encode(),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )
        times.append((time.monotonic() - began) * 1000)
        answer.raise_for_status()

    with forgers(_door_of(letters[0]["url"]), forged) as knocks:
        began = time.monotonic()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(send, letters))
        seconds = time.monotonic() - began
    return Heard(
        letters=len(letters),
        callers=callers,
        per_second=len(letters) / seconds,
        median_ms=statistics.median(times),
        p99_ms=statistics.quantiles(times, n=100, method="inclusive")[98],
        forged_per_second=sum(knocks) / seconds,
    )


def warm(url: str) -> None:
    """Let the site load what its first requests load, before anything is timed."""
    with forgers(_door_of(url), WARM_UP_FORGERS):
        time.sleep(WARM_UP_SECONDS)


def _door_of(url: str) -> str:
    path = urlsplit(url)
    return f"{path.scheme}://{path.netloc}{path.path.rpartition('/')[0]}"


def _session_of(own: threading.local) -> requests.Session:
    if not hasattr(own, "session"):
        own.session = requests.Session()
        own.session.trust_env = False
    found: requests.Session = own.session
    return found
