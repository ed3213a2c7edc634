"""Issue 5: what the pages of the desk cost with a million loans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.databases import PROJECT, database
from bench.stage import FIELD_KEY
from bench.table import Table

COLUMNS = ("page", "visits", "p50 ms", "p95 ms", "statements", "KB")
NOTES = (
    "server time: the whole of Django with its middleware, without the network; one visitor",
    "20 lenders, 5,000 new loans a day; 600 wait, 1 in 5,000 needs a person, 1 in 400 has failed",
    "KB of HTML as sent, not compressed; the style sheet and the script are kept by the browser",
)


def desk(loans: int) -> Iterator[Table]:
    """Yield the cost of each kind of page, on both databases."""
    for kind in ("postgres", "sqlite"):
        yield _measure(kind, loans)


def _measure(kind: str, loans: int) -> Table:
    with (
        TemporaryDirectory(prefix="loanpoll-bench-") as folder,
        database(kind, Path(folder)) as url,
    ):
        environment = _environment(url)
        _python(environment, "manage.py", "migrate", "--verbosity", "0")
        told = _python(environment, "-m", "bench.desk_visits", str(loans))
    rows = [_row(json.loads(line)) for line in told.splitlines()]
    return Table(title=f"Pages, {loans:,} loans, {kind}", columns=COLUMNS, rows=rows, notes=NOTES)


def _row(cost: dict[str, Any]) -> tuple[object, ...]:
    return (
        cost["name"],
        cost["visits"],
        cost["p50"],
        cost["p95"],
        cost["statements"],
        cost["bytes"] / 1000,
    )


def _python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _environment(url: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "LOANPOLL_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "loanpoll_site.settings",
        "SECRET_KEY": "only-for-benchmarks-" * 4,
        "FIELD_ENCRYPTION_KEYS": FIELD_KEY,
        "PUBLIC_BASE_URL": "http://127.0.0.1:8000",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOANPOLL_ALLOW_PRIVATE_HOSTS": "1",
        "DATABASE_URL": url,
        "PYTHONWARNINGS": "ignore:No directory at",  # no static files are served here
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "plain",
    }
