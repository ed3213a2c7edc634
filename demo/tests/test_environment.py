"""The demo's settings are its own: kept keys, free ports, one start at a time."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from demo import environment
from demo.environment import free_port, read_settings


@pytest.fixture(autouse=True)
def _leave_no_trace(monkeypatch, tmp_path):
    # `enter` changes the environment of its process for good; here it must come back.
    for name in environment.SETTING.findall((environment.PROJECT / ".env.example").read_text()):
        monkeypatch.setenv(name, "")
    for name in ("LOANPOLL_ENV_FILE", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "")
    yield
    if environment._lock is not None:
        environment._lock.close()


def enter(folder: Path) -> dict[str, str]:
    environment.enter(["--folder", str(folder), "--json"])
    return read_settings(folder)


def test_a_taken_port_makes_it_choose_the_next():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert free_port(port) > port


def test_keys_are_kept_from_start_to_start_and_only_the_owner_reads_them(tmp_path):
    first = enter(tmp_path)
    environment._lock.close()  # type: ignore[union-attr]  # enter took it
    second = enter(tmp_path)

    assert first["SECRET_KEY"] == second["SECRET_KEY"] != ""
    assert first["FIELD_ENCRYPTION_KEYS"] == second["FIELD_ENCRYPTION_KEYS"]
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


def test_help_is_given_beside_a_running_demo_and_changes_nothing(tmp_path):
    before = enter(tmp_path)
    running = environment._lock

    environment.enter(["--folder", str(tmp_path), "--help"])

    assert read_settings(tmp_path) == before
    running.close()  # type: ignore[union-attr]  # enter took it


def test_what_the_shell_sets_does_not_reach_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://real")
    monkeypatch.setenv("LOANPOLL_RESEND_AFTER", "3600")

    settings = enter(tmp_path)

    assert settings["DATABASE_URL"].startswith(f"sqlite:///{tmp_path}")
    assert "DATABASE_URL" not in os.environ
    assert "LOANPOLL_RESEND_AFTER" not in os.environ


def test_a_second_demo_in_the_same_folder_is_sent_away(tmp_path, capsys):
    enter(tmp_path)

    with pytest.raises(SystemExit) as sent_away:
        enter(tmp_path)

    assert sent_away.value.code == 2
    assert "running already" in capsys.readouterr().err


def test_the_first_line_comes_before_django_is_loaded():
    listing = subprocess.run(
        [sys.executable, "-c", "import demo.environment, sys; print('django' in sys.modules)"],
        cwd=environment.PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert listing.stdout.strip() == "False"
