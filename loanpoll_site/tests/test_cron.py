"""The line that `crontab add` installs runs in cron's bare environment, silent when all is well."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import CommandError

from loanpoll_site import cron

PROJECT = Path(__file__).resolve().parents[2]
FAKE_CRONTAB = """#!/bin/sh
case "$1" in -l) cat "{table}" 2>/dev/null ;; *) cat "$1" > "{table}" ;; esac
"""


def told_to(monkeypatch, outcome):
    def call_command(name, *, cron, stdout, stderr):
        assert (name, cron) == ("scheduled_loan_sync", True)
        stdout.write("umoja: Mifos X is not reachable\n")
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(cron, "call_command", call_command)


@pytest.mark.parametrize("outcome", [None, SystemExit(0), SystemExit(None)])
def test_a_good_pass_is_silent(monkeypatch, capsys, outcome):
    told_to(monkeypatch, outcome)

    cron.scheduled_loan_sync("/srv/loanpoll")

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("outcome", [SystemExit(1), CommandError("one partner failed")])
def test_a_failed_pass_says_on_stderr_what_happened_and_where(monkeypatch, capsys, outcome):
    told_to(monkeypatch, outcome)

    cron.scheduled_loan_sync("/srv/loanpoll")

    said = capsys.readouterr().err
    assert "/srv/loanpoll" in said
    assert "Mifos X is not reachable" in said


def test_the_job_names_a_function_that_exists_and_this_folder(settings):
    ((when, function, arguments),) = settings.CRONJOBS
    module, _, name = function.rpartition(".")

    assert when == "*/5 * * * *"
    assert callable(getattr(import_module(module), name))
    assert arguments == [str(PROJECT)]


@pytest.fixture
def installation(tmp_path):
    """A folder with the project in it, its own .env, and a stand-in for the crontab program."""
    for entry in PROJECT.iterdir():
        if not entry.name.startswith(".") and entry.suffix != ".sqlite3":
            (tmp_path / entry.name).symlink_to(entry)
    # Copies, because settings find the folder by resolving their own place.
    (tmp_path / "manage.py").unlink()
    (tmp_path / "loanpoll_site").unlink()
    shutil.copy(PROJECT / "manage.py", tmp_path)
    shutil.copytree(PROJECT / "loanpoll_site", tmp_path / "loanpoll_site")
    crontab = tmp_path / "crontab"
    crontab.write_text(FAKE_CRONTAB.format(table=tmp_path / "table"))
    crontab.chmod(0o755)
    with (tmp_path / "loanpoll_site/settings.py").open("a") as settings:
        settings.write(f'CRONTAB_EXECUTABLE = "{crontab}"\n')
    return tmp_path


def run_bare(line: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as cron does: another folder, and next to nothing in the environment."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "TMPDIR": str(temporary)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_line_reads_the_env_file_and_runs_a_pass(installation):
    (installation / ".env").write_text(
        "SECRET_KEY=a-secret-that-is-long-enough-for-a-test-of-the-settings-12345\n"
        "FIELD_ENCRYPTION_KEYS=dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=\n"
        "PUBLIC_BASE_URL=https://loanpoll.example.co.ke\n"
        "ALLOWED_HOSTS=loanpoll.example.co.ke\n"
        f"DATABASE_URL=sqlite:///{installation}/cron.sqlite3\n"
    )
    manage = f"{sys.executable} {installation / 'manage.py'}"
    added = run_bare(f"{manage} crontab add", installation)
    again = run_bare(f"{manage} crontab add", installation)
    assert (added.returncode, again.returncode) == (0, 0), added.stderr + again.stderr
    (line,) = (installation / "table").read_text().splitlines()
    assert line.startswith(f"*/5 * * * * {manage} crontab run ")

    run_bare(f"{manage} migrate", installation)
    ran = run_bare(re.sub(r"^(\S+\s+){5}", "", line), installation)

    assert ran.returncode == 0
    assert (ran.stdout, ran.stderr) == ("", "")


def test_a_line_without_its_env_file_says_what_is_missing(installation):
    ended = run_bare(f"{sys.executable} {installation / 'manage.py'} crontab run x", installation)

    assert ended.returncode == 2
    assert "SECRET_KEY is not set" in ended.stderr
