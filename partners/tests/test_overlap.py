"""Waiting in threads: as many as workers, one failure is one, and no database while we wait."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from typing import cast

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from partners.overlap import NetworkInsideTransaction, Patience, leave_database, overlap


def test_work_overlaps_with_at_most_as_many_as_workers():
    lock, running, most = threading.Lock(), [0], [0]

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return number

    assert sorted(overlap(work, range(10), workers=3)) == list(range(10))
    assert most[0] == 3


def test_one_failure_skips_one_piece_of_work():
    assert sorted(overlap(lambda number: 6 // number, [0, 1, 2, 3], workers=2)) == [2, 3, 6]


def test_items_are_read_only_as_workers_come_free():
    read: list[int] = []
    gate = threading.Event()

    def endless() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    def work(number: int) -> int:
        if number:
            gate.wait(5)
        return number

    results = cast("Generator[int, None, None]", overlap(work, endless(), workers=2))
    assert next(results) == 0
    time.sleep(0.05)

    assert len(read) <= 3
    gate.set()
    results.close()


def test_nothing_to_do_is_nothing():
    assert list(overlap(str, [], workers=4)) == []


@pytest.mark.django_db(transaction=True)
def test_a_network_call_inside_a_transaction_is_a_bug_that_shows():
    leave_database()
    with transaction.atomic(), pytest.raises(NetworkInsideTransaction):
        leave_database()


@pytest.mark.django_db(transaction=True)
def test_the_connection_goes_back_before_we_wait():
    connection.ensure_connection()

    leave_database()

    assert (connection.connection is None) is (connection.vendor == "postgresql")


def test_patience_ends_after_failures_in_a_row_and_a_success_begins_anew():
    patience = Patience(limit=2)
    patience.note(success=False)
    patience.note(success=True)
    patience.note(success=False)
    assert not patience.is_lost

    patience.note(success=False)

    assert patience.is_lost
    assert list(patience.while_kept([1, 2])) == []


def test_patience_ends_with_the_time():
    assert Patience(deadline=time.monotonic()).is_lost
    assert not Patience(deadline=time.monotonic() + 60).is_lost
    assert list(Patience().while_kept([1, 2])) == [1, 2]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no pool")
@pytest.mark.django_db(transaction=True)
def test_who_waits_for_the_threads_holds_no_connection_meanwhile():
    # Threads of thirty partners that held one each would leave none to the threads they wait for.
    waiting = connections[DEFAULT_DB_ALIAS]
    waiting.ensure_connection()

    def has_let_go(number: int) -> bool:
        for _ in range(500):
            if waiting.connection is None:
                return True
            time.sleep(0.01)
        return False

    assert list(overlap(has_let_go, [1], workers=1)) == [True]


@pytest.mark.django_db(transaction=True)
def test_waiting_for_threads_inside_a_transaction_is_a_bug():
    with transaction.atomic(), pytest.raises(NetworkInsideTransaction):
        list(overlap(str, [1], workers=1))
