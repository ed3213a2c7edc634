"""Knocks at a door with wrong tokens until its standard input ends: `python -m bench.forging`.

A process of its own, so that the forgers do not slow the callers whose answers are timed.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

TIMEOUT_SECONDS = 30


@contextmanager
def forgers(door: str, number: int) -> Iterator[list[int]]:
    """Let so many endless forgers knock meanwhile; the list holds their knocks at the end."""
    knocks: list[int] = []
    if not number:
        yield knocks
        return
    command = [sys.executable, "-m", "bench.forging", door, str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is not None:
            process.stdout.readline()  # all of them have knocked once
        yield knocks
    finally:
        out, _ = process.communicate()
        knocks.append(int(out))


def main(door: str, number: int) -> None:
    stop = threading.Event()
    warm = threading.Barrier(number + 1)
    counts = [0] * number
    threads = [
        threading.Thread(target=_forge, args=(door, counts, which, stop, warm))
        for which in range(number)
    ]
    for thread in threads:
        thread.start()
    warm.wait()
    print("all have knocked", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(sum(counts))


def _forge(
    door: str, counts: list[int], which: int, stop: threading.Event, warm: threading.Barrier
) -> None:
    session = requests.Session()
    session.trust_env = False
    _knock(session, door)
    warm.wait()
    while not stop.is_set():
        _knock(session, door)
        counts[which] += 1


def _knock(session: requests.Session, door: str) -> None:
    token = secrets.token_urlsafe(32)
    session.post(f"{door}/{token}", json={"Result": {}}, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
