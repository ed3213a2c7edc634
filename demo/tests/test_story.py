"""The demo as a person starts it: a child process with a folder of its own, over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.cast import PASSING, UNREACHABLE
from demo.environment import PROJECT, read_settings
from loans.models import HoldReason, LoanStatus, ReviewReason

PATIENCE_SECONDS = 240.0  # half a minute when the machine has nothing else to do
pytestmark = pytest.mark.skipif(
    os.environ.get("DATABASE_URL", "").startswith("postgres"),
    reason="the demo has a database of its own, so the run on SQLite says it all",
)


def play_once(folder: Path) -> dict[str, Any]:
    """Play the fixed story; return what it said."""
    played = subprocess.run(
        [*command(folder), "--once", "--json"],
        env={**os.environ, "DATABASE_URL": f"sqlite:///{folder}/of-the-shell.sqlite3"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert played.returncode == 0, (played.stderr, played.stdout)
    told: dict[str, Any] = json.loads(played.stdout)
    return told


def command(folder: Path) -> list[str]:
    return [sys.executable, str(PROJECT / "manage.py"), "demo", "--folder", str(folder)]


def column(folder: Path, name: str) -> set[str]:
    database = sqlite3.connect(folder / "loanpoll.sqlite3")
    try:
        return {row[0] for row in database.execute(f"SELECT {name} FROM loan_tracking")}
    finally:
        database.close()


def listening(folder: Path) -> Iterator[int]:
    settings = read_settings(folder)
    for name in ("PUBLIC_BASE_URL", "MPESA_SANDBOX_URL", "DEMO_MIFOS_URL"):
        port = int(settings[name].rpartition(":")[2])
        with socket.socket() as way:
            if way.connect_ex(("127.0.0.1", port)) == 0:
                yield port


def start_and_stop(folder: Path) -> str:
    """Start the endless demo, press Ctrl-C at its first payment, and return its last words."""
    demo = subprocess.Popen(
        command(folder), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "asking M-Pesa to pay" in line:
            break
    assert len(list(listening(folder))) == 3
    os.killpg(demo.pid, signal.SIGINT)
    last_words, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    return last_words


def test_the_story_shows_every_reason_and_ends_with_three_books_that_agree(tmp_path):
    story = play_once(tmp_path)

    assert story["booksAgree"]
    assert story["undeclaredDifferences"] == story["reasonsNotShown"] == []
    assert len(story["expectedExceptions"]) == 5
    mpesa, ours, mifos, same = story["books"]
    assert (mpesa["payments"], mpesa["kes"]) == (ours["payments"], ours["kes"])
    assert ours["payments"] > mifos["payments"] > same["payments"] > 15
    not_at_the_end = {reason.value for reason in (*PASSING, *UNREACHABLE)}
    assert column(tmp_path, "status") == set(LoanStatus.values)
    assert column(tmp_path, "hold_reason") - {""} == set(HoldReason.values) - not_at_the_end
    assert column(tmp_path, "review_reason") - {""} == set(ReviewReason.values)
    assert story["firstDisbursedSeconds"] < story["seconds"]
    assert not (tmp_path / "of-the-shell.sqlite3").exists()
    assert list(listening(tmp_path)) == []


def test_ctrl_c_leaves_nothing_running_and_the_next_start_works(tmp_path):
    for _ in ("first", "second"):
        assert "Nothing is left running" in start_and_stop(tmp_path)
        assert list(listening(tmp_path)) == []
