"""A visit to a partner is begun by one thread; the others neither wait for it nor are forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from disbursements import jobs
from disbursements.jobs import VISIT_SECONDS, Visit, Visits


class Opening:
    """Stands for reading what a visit needs, which takes until `done` is set."""

    def __init__(self) -> None:
        self.begun, self.done = threading.Event(), threading.Event()
        self.partner = object()

    def __call__(self, partner_id: int) -> Visit:
        self.begun.set()
        self.done.wait(10)
        return visit_of(self.partner, ends_in=VISIT_SECONDS)


def visit_of(partner: object, *, ends_in: float) -> Visit:
    shop: Any = SimpleNamespace(partner=partner)
    books: Any = None
    return Visit(shop=shop, books=books, ends_at=time.monotonic() + ends_in)


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    made = Opening()
    monkeypatch.setattr(jobs, "_begin_visit", made)
    monkeypatch.setattr(jobs, "DOOR_SECONDS", 0.01)
    yield made
    made.done.set()


@pytest.fixture
def called_back(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    partners: list[object] = []
    monkeypatch.setattr(jobs, "hand_over_due", partners.append)
    return partners


def open_beside(visits: Visits, opening: Opening) -> threading.Thread:
    opener = threading.Thread(target=visits.of, args=(1,))
    opener.start()
    assert opening.begun.wait(5)
    return opener


def finish(opening: Opening, opener: threading.Thread) -> None:
    opening.done.set()
    opener.join(5)
    assert not opener.is_alive()


def test_the_visit_before_serves_on_while_another_thread_renews_it(opening, called_back):
    visits = Visits()
    visits._visits[1] = before = visit_of("before", ends_in=-1)
    opener = open_beside(visits, opening)

    assert visits.of(1) is before

    finish(opening, opener)
    assert visits.of(1) is not before
    assert called_back == []


def test_a_visit_that_ended_long_ago_serves_nobody(opening, called_back):
    visits = Visits()
    visits._visits[1] = visit_of("before", ends_in=-VISIT_SECONDS - 1)
    opener = open_beside(visits, opening)

    assert visits.of(1) is None

    finish(opening, opener)


def test_who_was_turned_away_is_handed_over_again_once_the_door_is_open(opening, called_back):
    visits = Visits()
    opener = open_beside(visits, opening)
    assert visits.of(1) is None

    finish(opening, opener)

    assert called_back == [opening.partner]
    assert visits.of(1) is not None
    assert called_back == [opening.partner]


def test_nobody_is_called_when_nobody_was_turned_away(opening, called_back):
    opening.done.set()

    assert Visits().of(1) is not None

    assert called_back == []
