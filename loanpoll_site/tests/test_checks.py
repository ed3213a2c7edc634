"""Each check finds its own fault, and nothing in a sound installation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.db import connection

from partners.models import Partner

PROJECT = Path(__file__).resolve().parents[2]


def found(databases: list[str] | None = None, *, deploy: bool = True) -> set[str]:
    messages = run_checks(include_deployment_checks=deploy, databases=databases)
    return {str(message.id) for message in messages if str(message.id).startswith("loanpoll.")}


@pytest.fixture(autouse=True)
def production(settings, db):
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False
    settings.PUBLIC_BASE_URL = "https://loanpoll.example.co.ke"
    settings.LOANPOLL_REQUIRE_TWO_FACTOR = True


def expected_on_this_database() -> set[str]:
    """SQLite is worth a word, and script/test starts its PostgreSQL with fsync off."""
    if connection.vendor == "sqlite":
        return {"loanpoll.I008"}
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        return {"loanpoll.E009"} if cursor.fetchone() == ("off",) else set()


def test_a_sound_installation_has_no_findings():
    assert found() == expected_on_this_database()


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("CRON_SECRET", "fifteen-letters", "loanpoll.E001"),
        ("LOANPOLL_ALLOW_PRIVATE_HOSTS", True, "loanpoll.E004"),
        ("PUBLIC_BASE_URL", "http://loanpoll.example.co.ke", "loanpoll.E005"),
        ("PUBLIC_BASE_URL", "https://mpesa.example.co.ke", "loanpoll.W006"),
        ("LOANPOLL_RESEND_AFTER", 3599, "loanpoll.E007"),
        ("LOANPOLL_RESEND_UNTIL", 86401, "loanpoll.E007"),
        ("LOANPOLL_RECHECK_MAX_AGE", 10.5, "loanpoll.E007"),
        ("LOANPOLL_NOT_FOUND_INTERVAL", 1, "loanpoll.E007"),
        ("LOANPOLL_HTTP_READ_TIMEOUT", 0, "loanpoll.E007"),
    ],
)
def test_one_wrong_setting_is_one_finding(settings, name, value, finding):
    setattr(settings, name, value)

    assert found() == expected_on_this_database() | {finding}


def test_the_queue_needs_postgresql(settings):
    settings.LOANPOLL_TASKS = "queue"

    assert ("loanpoll.E002" in found()) == (connection.vendor == "sqlite")


def test_a_misspelt_name_is_found(monkeypatch):
    monkeypatch.setenv("LOANPOLL_RESEND_AFTR", "1")
    monkeypatch.setenv("LOANPOLL_RESEND_AFTER_FILE", "/run/secrets/x")

    assert "loanpoll.W003" in found()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL")
def test_a_database_that_may_lose_a_commit_is_refused():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    assert "loanpoll.E009" in found()


@pytest.mark.parametrize(
    ("databases", "deploy"), [(["default"], False), (None, True), (["default"], True)]
)
def test_a_lost_key_is_found_before_a_payment_needs_it(settings, databases, deploy):
    Partner.objects.create(slug="umoja", name="Umoja", mifos_password="secret")
    assert "loanpoll.E010" not in found(databases, deploy=deploy)

    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    assert "loanpoll.E010" in found(databases, deploy=deploy)


def test_a_plain_check_does_not_read_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        found(deploy=False)


def test_check_deploy_passes_with_a_production_environment_on_sqlite(tmp_path):
    ended = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "manage.py"),
            "check",
            "--deploy",
            "--fail-level",
            "WARNING",
        ],
        env={
            "PATH": os.environ["PATH"],
            "LOANPOLL_ENV_FILE": os.devnull,
            "SECRET_KEY": "k8Jd02mVb7QpXz5RtYw3NcHs6LgFa9Ue1Io4BnMvCxZqWpEr-Tq7",
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PUBLIC_BASE_URL": "https://loanpoll.example.co.ke",
            "ALLOWED_HOSTS": "loanpoll.example.co.ke",
            "CRON_SECRET": "sixteen-letters-",
            "DATABASE_URL": f"sqlite:///{tmp_path}/loanpoll.sqlite3",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
