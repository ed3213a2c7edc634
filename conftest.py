"""What every test of the house shares: its database, its network, the sandbox and a live site."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

Rows = list[tuple[Any, ...]]
# Triggers that refuse UPDATE and DELETE on the audit trail (loans/migrations).
AUDIT_TRIGGERS = "loan_events_no_"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the campaigns, which take longest: at the end one process would run them alone."""
    items.sort(key=lambda item: item.get_closest_marker("campaign") is None)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Keep what the migrations shipped through every flush; let it empty the audit trail."""
    with django_db_blocker.unblock():
        shipped = _shipped_rows()
    flush = _restoring(BaseDatabaseOperations.execute_sql_flush, shipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush)
        yield


def _shipped_rows() -> dict[str, tuple[list[str], Rows]]:
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = cursor.fetchall()
            if rows:
                found[table] = ([column[0] for column in cursor.description], rows)
    return found


def _restoring(
    flush: Callable[..., None], shipped: dict[str, tuple[list[str], Rows]]
) -> Callable[..., None]:
    def flush_and_restore(self: BaseDatabaseOperations, sql_list: Any) -> None:
        # One transaction: foreign keys are deferred, so the order of the tables does not matter.
        with transaction.atomic(), _audit_triggers_lifted():
            flush(self, sql_list)
            with connection.cursor() as cursor:
                for table, (columns, rows) in shipped.items():
                    names = ", ".join(f'"{name}"' for name in columns)
                    marks = ", ".join(["%s"] * len(columns))
                    cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)

    return flush_and_restore


@contextmanager
def _audit_triggers_lifted() -> Iterator[None]:
    """Lift the audit triggers for a flush: DELETE on SQLite, TRUNCATE on PostgreSQL."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE loan_events DISABLE TRIGGER loan_events_no_truncate")
            yield
            cursor.execute("ALTER TABLE loan_events ENABLE TRIGGER loan_events_no_truncate")
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s",
            [f"{AUDIT_TRIGGERS}%"],
        )
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        yield
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.fixture(autouse=True, scope="session")
def _nothing_leaves_this_machine() -> Iterator[None]:
    """Fail a test that connects to another machine, or asks for another machine's name."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _local_names_only(socket.getaddrinfo))
        yield


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            # Not an Exception, so that no `except Exception` of the product can swallow it.
            pytest.fail(f"a test tried to reach {address[0]}")
        return connect(self, address)

    return guarded


def _local_names_only(getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_local(name) and not _is_address(name):
            raise socket.gaierror(socket.EAI_NONAME, f"tests look up no names, not even {name}")
        return getaddrinfo(host, *args, **options)

    return guarded


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    if host in {"", "localhost", socket.gethostname()}:
        return True
    return _is_address(host) and (
        ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    )


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """A Mifos X and a Daraja on this machine, over real HTTP."""
    from sandbox.running import running_sandbox

    with running_sandbox() as running:
        yield running


@pytest.fixture
def live_site(live_server: Any, settings: Any) -> str:
    """The site in a real server; its address, which callbacks are also sent to."""
    settings.PUBLIC_BASE_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def child_environment(transactional_db: None) -> dict[str, str]:
    """The environment for `manage.py` as a child process, on the database of this test."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "loanpoll_site.settings",
        "DATABASE_URL": _url_of_the_test_database(),
    }


def _url_of_the_test_database() -> str:
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    given = os.environ["DATABASE_URL"]
    address, _, options = given.partition("?")
    start = address.rpartition("/")[0]
    return f"{start}/{known['NAME']}{'?' + options if options else ''}"
