"""The floor's tables: as many rows as the product commits, of about their size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Protocol

from bench.databases import connect

FILLER = "x" * 350  # an event's digests, reason and details; an attempt's ids and times
TABLES = ("loans", "attempts", "requests", "callbacks", "events")
Statement = tuple[str, tuple[Any, ...]]
INSERT = "INSERT INTO floor_{} (id, word, filler) VALUES (?, ?, ?)"
UPDATE = "UPDATE floor_{} SET word = ? WHERE id = ?"
# What the product commits for one loan, transaction by transaction (docs/benchmarks.md).
CLAIM = (("INSERT", "attempts"), ("INSERT", "requests"), ("UPDATE", "loans"), *[("EVENT", "")] * 2)
ACCEPTED = (("UPDATE", "attempts"), ("UPDATE", "loans"), ("EVENT", ""))
KEPT = (("INSERT", "callbacks"),)
SETTLED = (
    ("UPDATE", "callbacks"),
    ("UPDATE", "requests"),
    ("UPDATE", "attempts"),
    ("UPDATE", "loans"),
    ("EVENT", ""),
)
LEASED = (("UPDATE", "attempts"),)
RECORDED = (("UPDATE", "attempts"), ("UPDATE", "loans"), *[("EVENT", "")] * 2)


class Connection(Protocol):
    """The little that sqlite3 and psycopg have in common."""

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...


class FloorRows:
    """One thread's way to the tables."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._connection: Any = _sqlite(url) if self.is_sqlite else connect(url)

    def create(self) -> None:
        key = "INTEGER PRIMARY KEY" if self.is_sqlite else "BIGSERIAL PRIMARY KEY"
        for name in TABLES:
            self._connection.execute(
                f"CREATE TABLE floor_{name} (id {key}, word TEXT, filler TEXT)"
            )

    def commit(self, steps: Iterable[tuple[str, str]], loan: int) -> None:
        """Write these rows of a loan in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        for kind, table in steps:
            query, params = _statement(kind, table, loan)
            self._connection.execute(query if self.is_sqlite else query.replace("?", "%s"), params)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def _statement(kind: str, table: str, loan: int) -> Statement:
    match kind:
        case "INSERT":
            return INSERT.format(table), (loan, "new", FILLER)
        case "UPDATE":
            return UPDATE.format(table), ("moved", loan)
        case _:
            return "INSERT INTO floor_events (word, filler) VALUES (?, ?)", (str(loan), FILLER)


def _sqlite(url: str) -> sqlite3.Connection:
    made = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20, isolation_level=None)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("PRAGMA synchronous=FULL")
    return made
