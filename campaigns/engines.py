"""The two databases a campaign runs on: a template, a fresh copy per schedule, plain SQL."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Row = dict[str, Any]


class Tables(Protocol):
    """Our tables, read with plain SQL and nothing of the product."""

    def rows(self, query: str) -> list[Row]: ...

    def run(self, statement: str, values: Sequence[object] = ()) -> None: ...


class Engine(Protocol):
    """One database: `url` is what the product gets."""

    name: str
    url: str

    def keep_as_template(self) -> None:
        """Make what is in the database now the start of every schedule."""

    def renew(self) -> None:
        """Give the next schedule a fresh database. No life may be connected."""

    def tables(self) -> Tables: ...

    def close(self) -> None: ...


class SqliteEngine:
    """A file, copied from the template for every schedule."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "loanpoll.sqlite3"
        self._template = folder / "template.sqlite3"
        self.url = f"sqlite:///{self._path}"

    def keep_as_template(self) -> None:
        with sqlite3.connect(self._path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self._path, self._template)

    def renew(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._template, self._path)

    def tables(self) -> SqliteTables:
        return SqliteTables(self._path)

    def close(self) -> None:
        """The folder is removed by whoever made it."""


class SqliteTables:
    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, query: str) -> list[Row]:
        connection = sqlite3.connect(self._path, timeout=20)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query)]
        finally:
            connection.close()

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        connection = sqlite3.connect(self._path, timeout=20)
        try:
            with connection:
                connection.execute(statement.replace("%s", "?"), tuple(values))
        finally:
            connection.close()


class PostgresEngine:
    """A database of our own on the server of DATABASE_URL, made anew from a template."""

    name = "postgres"

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self.host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
        self.port = parts.port or 5432
        self._server: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": parts.username or "postgres",
            "password": parts.password or None,
        }
        self.database = f"campaign_{os.getpid()}"
        self._template = f"{self.database}_template"
        self._admin: psycopg.Connection[Any] = psycopg.connect(
            **self._server, dbname=parts.path.lstrip("/") or "postgres", autocommit=True
        )
        self._make(self.database, None)
        self.url = parts._replace(path=f"/{self.database}").geturl()

    def keep_as_template(self) -> None:
        self._make(self._template, self.database)

    def renew(self) -> None:
        self._drop(self.database)
        self._make(self.database, self._template)

    def tables(self) -> PostgresTables:
        return PostgresTables({**self._server, "dbname": self.database})

    def cut_a_connection(self) -> int:
        """End one backend of ours, whichever comes first; return how many ended (0 or 1)."""
        found = self._admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE datname = %s ORDER BY random() LIMIT 1) chosen",
            [self.database],
        ).fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        for database in (self.database, self._template):
            self._drop(database)
        self._admin.close()

    def _make(self, name: str, template: str | None) -> None:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
        self._admin.execute(statement)

    def _drop(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        self._admin.execute(statement)


class PostgresTables:
    def __init__(self, where: dict[str, Any]) -> None:
        self._where = where

    def rows(self, query: str) -> list[Row]:
        with psycopg.connect(**self._where, row_factory=dict_row) as connection:
            return list(connection.execute(query.encode()))

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        with psycopg.connect(**self._where) as connection:
            connection.execute(statement.encode(), list(values))


def engine_for(name: str, folder: Path) -> Engine:
    """Return the engine; PostgreSQL's server is named in DATABASE_URL."""
    if name == "sqlite":
        return SqliteEngine(folder)
    return PostgresEngine(os.environ["DATABASE_URL"])
