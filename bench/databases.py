"""Where a measured product keeps its rows: a new SQLite file, or a PostgreSQL of our own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import psycopg

PROJECT = Path(__file__).resolve().parent.parent


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database of this kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with _launcher().running_server() as url:
        yield url


def connect(url: str) -> psycopg.Connection:
    """Open a plain connection to the PostgreSQL of a DATABASE_URL; each statement commits."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return psycopg.connect(
        host=host,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        dbname=parts.path.lstrip("/"),
        autocommit=True,
    )


def _launcher() -> ModuleType:
    """Load script/with_postgres.py, with commits that last: that is what production pays for."""
    spec = importlib.util.spec_from_file_location(
        "with_postgres", PROJECT / "script/with_postgres.py"
    )
    if spec is None or spec.loader is None:
        raise SystemExit("script/with_postgres.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.OPTIONS.update({"fsync": "on", "shared_buffers": "256MB"})
    return module
