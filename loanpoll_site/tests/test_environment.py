"""A wrong environment stops the start; the message has the name, an example, and what to do."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from loanpoll_site.environment import Environment

PROJECT = Path(__file__).resolve().parents[2]
KEY = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
WORKING = {
    "SECRET_KEY": "a-secret-that-is-long-enough-for-a-test-of-the-settings-12345",
    "FIELD_ENCRYPTION_KEYS": KEY,
    "PUBLIC_BASE_URL": "https://loanpoll.example.co.ke",
    "ALLOWED_HOSTS": "loanpoll.example.co.ke",
    "LOANPOLL_ENV_FILE": os.devnull,
    "PATH": os.environ["PATH"],
}


def run_manage(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "check"],
        env={**WORKING, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Return an Environment that sees only what the test sets."""

    def environment(**values: str) -> Environment:
        monkeypatch.delenv("LOANPOLL_ENV_FILE", raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Environment(tmp_path)

    return environment


def test_a_working_environment_starts():
    assert run_manage().returncode == 0


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "PUBLIC_BASE_URL", "ALLOWED_HOSTS"]
)
def test_a_missing_name_stops_manage_with_exit_code_2_and_says_what_to_do(name):
    ended = run_manage(**{name: ""})

    assert ended.returncode == 2
    assert re.match(rf"Configuration error: {name} is not set\. Example: {name}=", ended.stderr)
    assert re.search(r"Make one|Set it in the environment|List the host names", ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIELD_ENCRYPTION_KEYS", "not-a-key"),
        ("PUBLIC_BASE_URL", "http://loanpoll.example.co.ke"),
        ("DATABASE_URL", "mysql://root:secret@host/loans"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("ALLOWED_HOSTS", "https://loanpoll.example.co.ke"),
        ("ALLOWED_HOSTS", "*"),
        ("CSRF_TRUSTED_ORIGINS", "loanpoll.example.co.ke"),
        ("CRON_SECRET", "secret@"),
        ("METRICS_TOKEN", "secret@"),
        ("MPESA_CALLBACK_ALLOWED_IPS", "196.201.214.200;196.201.214.206"),
        ("LOANPOLL_API_SYNC_RATE", "60/fortnight"),
        ("LOANPOLL_API_READ_RATE", "600"),
        ("ALERT_EMAILS", "ops@"),
        ("DEFAULT_FROM_EMAIL", "Loan Poll"),
    ],
)
def test_a_wrong_value_stops_manage_with_exit_code_2_and_shows_no_secret(name, value):
    ended = run_manage(**{name: value})

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Configuration error: {name}")
    assert "secret@" not in ended.stderr


@pytest.mark.parametrize("value", ["ture", "2", "enabled"])
def test_a_misspelt_flag_is_not_taken_for_off(read, value):
    with pytest.raises(ImproperlyConfigured, match=r"A_FLAG=\w+ cannot be used\. Ex.+ A_FLAG=1"):
        read(A_FLAG=value).flag("A_FLAG", default=False)


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("Yes", True), ("off", False), ("0", False), ("", True)]
)
def test_flags_are_read_and_an_empty_one_is_the_default(read, value, meaning):
    assert read(A_FLAG=value).flag("A_FLAG", default=True) is meaning


@pytest.mark.parametrize("value", ["10 minutes", "-1", "nan", "inf", "1,5"])
def test_a_wrong_duration_is_refused(read, value):
    with pytest.raises(ImproperlyConfigured, match=r"A_PAUSE=.* cannot be used\. Ex.+ A_PAUSE=60"):
        read(A_PAUSE=value).seconds("A_PAUSE", 60)


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("0.05", 0.05), ("", 60.0)])
def test_durations_may_be_fractions_or_nothing(read, value, seconds):
    assert read(A_PAUSE=value).seconds("A_PAUSE", 60) == seconds


@pytest.mark.parametrize("value", ["1.5", "-1", "one"])
def test_a_wrong_count_is_refused(read, value):
    with pytest.raises(ImproperlyConfigured, match="A_COUNT"):
        read(A_COUNT=value).number("A_COUNT", 0)


def test_an_unknown_choice_is_refused_with_the_choices(read):
    with pytest.raises(ImproperlyConfigured, match="A_MODE=inline or queue"):
        read(A_MODE="celery").choice("A_MODE", "inline", ("inline", "queue"))


@pytest.mark.parametrize(
    "value",
    [
        "loanpoll.example.co.ke",
        "ftp://loanpoll.example.co.ke",
        "https://",
        "https://host:port",
        "https://[broken",
        "https://host/?a=1",
        "https://user:password@host",
        "https://loan poll.example.co.ke",
        "https://loanpoll..co.ke",
    ],
)
def test_a_wrong_address_is_refused_with_an_example(read, value):
    with pytest.raises(ImproperlyConfigured, match=r"Example: SITE=https://loans\.example"):
        read(SITE=value).url("SITE", example="https://loans.example", allow_http=True)


def test_plain_http_is_refused_and_the_way_out_is_named(read):
    with pytest.raises(ImproperlyConfigured, match="LOANPOLL_ALLOW_PRIVATE_HOSTS=1"):
        read(SITE="http://127.0.0.1").url("SITE", example="https://x.example", allow_http=False)


def test_an_address_loses_its_trailing_slash(read):
    address = read(SITE="http://127.0.0.1:8000/").url("SITE", example="", allow_http=True)

    assert address == "http://127.0.0.1:8000"


def test_a_secret_that_begins_with_a_dollar_is_taken_as_it_is(read):
    assert read(A_SECRET="$HOME").text("A_SECRET") == "$HOME"


def test_a_name_without_a_default_says_how_to_make_its_value(read):
    with pytest.raises(ImproperlyConfigured, match=r"^A_NAME is not set\. Example: A_NAME=x\. Do"):
        read(A_NAME=" ").text("A_NAME", example="x", how="Do this.")


def test_one_bad_key_among_good_ones_is_counted_and_not_shown(read):
    with pytest.raises(ImproperlyConfigured, match="KEYS: key 2 is not a Fernet key") as refusal:
        read(KEYS=f"{KEY},short").field_keys("KEYS")
    assert "short" not in str(refusal.value)


def test_an_empty_database_url_means_the_default(read):
    found = read(DATABASE_URL="").database("DATABASE_URL", "sqlite:////srv/loans.sqlite3")

    assert found["NAME"] == "/srv/loans.sqlite3"


@pytest.mark.parametrize(
    ("url", "part", "value"),
    [
        ("postgres://u:p@db.example:5433/loans", "PORT", 5433),
        ("postgres://u:p%23%2F@db.example/loans", "PASSWORD", "p#/"),
        ("postgresql://u:p@db.example/loans", "ENGINE", "django.db.backends.postgresql"),
        ("postgres://u@/loans?host=/run/pg", "OPTIONS", {"host": "/run/pg"}),
        ("postgres://u:p@h/l?sslmode=require", "OPTIONS", {"sslmode": "require"}),
    ],
)
def test_postgresql_addresses_are_read(read, url, part, value):
    assert read(DATABASE_URL=url).database("DATABASE_URL", "")[part] == value


@pytest.mark.parametrize("url", ["loans", "postgres://user:secret@host:port/x", "postgres://h"])
def test_a_wrong_database_url_is_refused_and_never_shown(read, url):
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL=\(not shown\)") as refusal:
        read(DATABASE_URL=url).database("DATABASE_URL", "")
    assert "secret@" not in str(refusal.value)


def test_a_relative_sqlite_file_lies_in_the_project_wherever_we_are_started(read, tmp_path):
    found = read(DATABASE_URL="sqlite:///loans.sqlite3").database("DATABASE_URL", "")

    assert found["NAME"] == str(tmp_path / "loans.sqlite3")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////nowhere/loans.sqlite3", "no folder /nowhere"),
    ],
)
def test_a_sqlite_database_that_cannot_last_is_refused(read, url, said):
    with pytest.raises(ImproperlyConfigured, match=rf"{said}.* Example: DATABASE_URL=sqlite:"):
        read(DATABASE_URL=url).database("DATABASE_URL", "")


@pytest.mark.parametrize("value", ["a b", "loans.example:8000", "loans.example/path", "*", "a..b"])
def test_a_wrong_host_name_is_refused(read, value):
    with pytest.raises(ImproperlyConfigured, match=r"HOSTS=.*Example: HOSTS=loanpoll"):
        read(HOSTS=f"loans.example,{value}").hosts("HOSTS")


@pytest.mark.parametrize("value", ["loans.example", ".loans.example", "127.0.0.1", "[::1]", "web"])
def test_host_names_and_addresses_are_taken(read, value):
    assert read(HOSTS=value).hosts("HOSTS") == [value]


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        ("https://loans.example", True),
        ("https://*.loans.example", True),
        ("http://127.0.0.1:8000", True),
        ("https://loans.example/", False),
        ("loans.example", False),
    ],
)
def test_an_origin_has_a_scheme_and_no_path(read, value, is_right):
    environment = read(ORIGINS=value)
    if is_right:
        assert environment.origins("ORIGINS") == [value]
    else:
        with pytest.raises(ImproperlyConfigured, match="ORIGINS="):
            environment.origins("ORIGINS")


def test_callback_addresses_may_be_networks_and_misspelt_ones_are_refused(read):
    assert read(IPS="1.2.3.4, 10.0.0.0/24").networks("IPS", []) == ["1.2.3.4", "10.0.0.0/24"]
    with pytest.raises(ImproperlyConfigured, match=r"IPS=300\.1\.1\.1 cannot be used"):
        read(IPS="1.2.3.4,300.1.1.1").networks("IPS", [])


@pytest.mark.parametrize("value", ["60", "0/min", "-1/min", "x/min", "60/fortnight"])
def test_a_wrong_rate_is_refused_before_the_first_call_meets_it(read, value):
    with pytest.raises(ImproperlyConfigured, match=r"RATE=.*Example: RATE=60/min"):
        read(RATE=value).rate("RATE", "60/min")


def test_a_wrong_value_is_sought_where_it_stands(read, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A_PAUSE=never\n")
    monkeypatch.setenv("A_PAUSE", "")  # so that monkeypatch takes it away again
    monkeypatch.delenv("A_PAUSE")

    with pytest.raises(ImproperlyConfigured, match=r"Correct it in .*/\.env\.$"):
        read().seconds("A_PAUSE", 60)
    with pytest.raises(ImproperlyConfigured, match=r"Correct it in the environment\.$"):
        read(A_PAUSE="never").seconds("A_PAUSE", 60)


def test_a_value_may_lie_in_a_file(read, tmp_path):
    (tmp_path / "key").write_text("from a file\n")

    assert read(A_SECRET_FILE=str(tmp_path / "key")).text("A_SECRET") == "from a file"


def test_a_file_that_is_not_there_is_named(read):
    with pytest.raises(ImproperlyConfigured, match="A_SECRET_FILE=/nowhere/key cannot be read"):
        read(A_SECRET_FILE="/nowhere/key").text("A_SECRET")


def test_the_env_file_of_the_project_never_overrides(read, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A_NAME=file\nANOTHER_NAME=file\n")
    monkeypatch.setenv("ANOTHER_NAME", "")  # so that monkeypatch takes it away again
    monkeypatch.delenv("ANOTHER_NAME")

    environment = read(A_NAME="process")

    assert (environment.text("A_NAME"), environment.text("ANOTHER_NAME")) == ("process", "file")


def test_an_env_file_that_may_not_be_read_is_named_instead_of_passed_over(
    read, tmp_path, monkeypatch
):
    (tmp_path / ".env").write_text("A_NAME=file\n")
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(ImproperlyConfigured, match=r"\.env cannot be read by this user"):
        read()


def test_a_chosen_env_file_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("LOANPOLL_ENV_FILE", str(tmp_path / "none"))

    with pytest.raises(ImproperlyConfigured, match="none cannot be read"):
        Environment(tmp_path)


def names_in_settings() -> set[str]:
    tree = ast.parse((PROJECT / "loanpoll_site/settings.py").read_text())
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and isinstance(node.args[0], ast.Constant)
    }


def test_the_example_file_names_every_setting_and_no_other():
    text = (PROJECT / ".env.example").read_text()

    assert set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE)) == names_in_settings()


def test_the_reference_names_every_setting_and_no_other():
    text = (PROJECT / "docs/reference/settings.md").read_text()

    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)) == names_in_settings()


def test_every_setting_in_the_example_file_has_its_comment():
    lines = (PROJECT / ".env.example").read_text().splitlines()

    for before, line in pairwise(lines):
        if re.match(r"#?[A-Z][A-Z_]+=", line):
            assert before.startswith("# "), line
