"""Delivers letters to Safaricom's door and times the answers, alone or beside forged ones."""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

CALLERS = 8
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """How the door answered true letters."""

    letters: int
    per_second: float
    median_ms: float
    p99_ms: float
    forged_per_second: float


def deliver(letters: list[dict[str, Any]], *, forged: int) -> Heard:
    """Deliver each letter once, CALLERS at a time, beside so many endless forgers."""
    own = threading.local()
    times: list[float] = []
    stop = threading.Event()
    counts = [0] * forged
    path = urlsplit(letters[0]["url"])
    door = f"{path.scheme}://{path.netloc}{path.path.rpartition('/')[0]}"
    forgers = [
        threading.Thread(target=_forge, args=(door, counts, number, stop))
        for number in range(forged)
    ]
    for forger in forgers:
        forger.start()

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

    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(send, letters))
    seconds = time.monotonic() - began
    stop.set()
    for forger in forgers:
        forger.join()
    return Heard(
        letters=len(letters),
        per_second=len(letters) / seconds,
        median_ms=statistics.median(times),
        p99_ms=statistics.quantiles(times, n=100)[98],
        forged_per_second=sum(counts) / seconds,
    )


def _forge(door: str, counts: list[int], number: int, stop: threading.Event) -> None:
    session = requests.Session()
    session.trust_env = False
    for token in _tokens(stop):
        session.post(f"{door}/{token}", json={"Result": {}}, timeout=TIMEOUT_SECONDS)
        counts[number] += 1


def _tokens(stop: threading.Event) -> Iterator[str]:
    while not stop.is_set():
        yield secrets.token_urlsafe(32)


def _session_of(own: threading.local) -> requests.Session:
    if not hasattr(own, "session"):
        own.session = requests.Session()
        own.session.trust_env = False
    found: requests.Session = own.session
    return found
