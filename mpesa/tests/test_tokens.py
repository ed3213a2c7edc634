"""One token for all: asked for once, kept encrypted, replaced only when it must be."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mpesa import tokens
from mpesa.client import FreshToken, MpesaNotSent
from mpesa.models import MpesaToken
from mpesa.tests.threads import at_once
from mpesa.tokens import DatabaseTokenStore, forget_warm_tokens

LIFETIME = 3599


@pytest.fixture(autouse=True)
def _cold():
    forget_warm_tokens()
    yield
    forget_warm_tokens()


class Daraja:
    """Issues tokens; the latest is the only live one."""

    def __init__(self, *, takes: float = 0, lifetime: float = LIFETIME) -> None:
        self.takes = takes
        self.lifetime = lifetime
        self.issued: list[str] = []
        self._numbers = itertools.count(1)

    def fetch(self) -> FreshToken:
        time.sleep(self.takes)
        self.issued.append(f"token-{next(self._numbers)}")
        return FreshToken(access_token=self.issued[-1], lifetime=self.lifetime)


def store() -> DatabaseTokenStore:
    return DatabaseTokenStore("https://daraja.test", "consumer-key")


@pytest.mark.django_db
def test_a_warm_token_costs_no_statement(django_assert_num_queries):
    daraja = Daraja()
    first = store().token(daraja.fetch)

    with django_assert_num_queries(0):
        again = store().token(daraja.fetch)

    assert first == again == "token-1"
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db
def test_another_process_takes_the_token_from_the_database():
    daraja = Daraja()
    store().token(daraja.fetch)
    forget_warm_tokens()

    assert store().token(daraja.fetch) == "token-1"
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db
def test_two_apps_have_two_tokens():
    daraja = Daraja()
    other = DatabaseTokenStore("https://daraja.test", "another-key")

    assert store().token(daraja.fetch) != other.token(daraja.fetch)


@pytest.mark.django_db
def test_the_token_is_stored_encrypted_and_its_app_as_a_digest():
    store().token(Daraja().fetch)

    with connection.cursor() as cursor:
        cursor.execute("SELECT app_digest, access_token FROM mpesa_tokens")
        [(app, stored)] = cursor.fetchall()
    assert "token-1" not in stored
    assert "consumer-key" not in app


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "tokens_issued"), [(0.79, 1), (0.81, 2)])
def test_a_token_is_renewed_at_four_fifths_of_its_life(time_machine, age, tokens_issued):
    daraja = Daraja()
    time_machine.move_to("2026-11-23 12:00:00+00:00", tick=False)
    store().token(daraja.fetch)

    time_machine.shift(timedelta(seconds=LIFETIME * age))
    store().token(daraja.fetch)

    assert len(daraja.issued) == tokens_issued


@pytest.mark.django_db
def test_a_discarded_token_is_replaced():
    daraja = Daraja()
    store().discard(store().token(daraja.fetch))

    assert store().token(daraja.fetch) == "token-2"


@pytest.mark.django_db
def test_a_token_replaced_by_another_process_is_noticed_through_the_rejection():
    daraja = Daraja()
    mine = store().token(daraja.fetch)
    MpesaToken.objects.update(access_token="theirs", refresh_at=timezone.now() + timedelta(hours=1))

    store().discard(mine)

    assert store().token(daraja.fetch) == "theirs"
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db
def test_discarding_an_old_token_leaves_the_new_one():
    daraja = Daraja()
    old = store().token(daraja.fetch)
    store().discard(old)
    new = store().token(daraja.fetch)

    store().discard(old)

    assert store().token(daraja.fetch) == new


@pytest.mark.django_db
def test_a_late_rejection_of_an_old_token_leaves_the_new_one_warm(django_assert_num_queries):
    daraja = Daraja()
    old = store().token(daraja.fetch)
    store().discard(old)
    new = store().token(daraja.fetch)
    store().discard(old)

    with django_assert_num_queries(0):
        assert store().token(daraja.fetch) == new


@pytest.mark.django_db
def test_a_token_brought_between_reading_and_claiming_is_not_killed(monkeypatch):
    daraja = Daraja()
    mine = store()
    read = mine._row

    def read_just_before_another_process_is_done() -> MpesaToken:
        seen = read()
        if not seen.access_token:
            later = timezone.now() + timedelta(hours=1)
            MpesaToken.objects.update(access_token="theirs", refresh_at=later)
        return seen

    monkeypatch.setattr(mine, "_row", read_just_before_another_process_is_done)

    assert mine.token(daraja.fetch) == "theirs"
    assert daraja.issued == []


@pytest.mark.django_db
def test_a_failed_fetch_lets_the_next_one_try():
    def fail() -> FreshToken:
        raise MpesaNotSent("no")

    with pytest.raises(MpesaNotSent):
        store().token(fail)

    assert store().token(Daraja().fetch) == "token-1"


@pytest.mark.django_db
def test_a_very_short_life_does_not_loop():
    daraja = Daraja(lifetime=0)

    assert store().token(daraja.fetch) == "token-1"
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db
def test_the_lease_of_a_dead_process_is_overtaken_after_thirty_seconds():
    MpesaToken.objects.create(
        app_digest=store()._app, fetching_since=timezone.now() - timedelta(seconds=31)
    )

    assert store().token(Daraja().fetch) == "token-1"


@pytest.mark.django_db
def test_a_living_lease_is_waited_for_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(tokens, "WAIT_SECONDS", 0.2)
    MpesaToken.objects.create(app_digest=store()._app, fetching_since=timezone.now())
    daraja = Daraja()

    with pytest.raises(MpesaNotSent):
        store().token(daraja.fetch)

    assert daraja.issued == []


@pytest.mark.django_db
def test_a_token_whose_lease_was_overtaken_is_not_kept():
    daraja = Daraja()

    def overtaken() -> FreshToken:
        now = timezone.now()
        MpesaToken.objects.update(
            access_token="younger", refresh_at=now + timedelta(hours=1), fetching_since=None
        )
        return daraja.fetch()

    assert store().token(overtaken) == "younger"


@pytest.mark.django_db(transaction=True)
def test_many_threads_ask_once():
    daraja = Daraja(takes=0.1)

    got = at_once(12, lambda: store().token(daraja.fetch))

    assert set(got) == {"token-1"}
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db(transaction=True)
def test_many_processes_ask_once(monkeypatch):
    """Without the memory and the door that the threads of one process share."""
    daraja = Daraja(takes=0.1)
    monkeypatch.setattr(tokens, "_warm", _NoMemory())

    def as_another_process() -> str:
        alone = store()
        alone._door = threading.Lock()
        return alone.token(daraja.fetch)

    got = at_once(8, as_another_process)

    assert set(got) == {"token-1"}
    assert daraja.issued == ["token-1"]


@pytest.mark.django_db(transaction=True)
def test_many_threads_that_are_rejected_together_replace_the_token_once():
    daraja = Daraja(takes=0.05)
    dead = store().token(daraja.fetch)

    def rejected() -> str:
        store().discard(dead)
        return store().token(daraja.fetch)

    got = at_once(8, rejected)

    assert set(got) == {"token-2"}
    assert daraja.issued == ["token-1", "token-2"]


@pytest.mark.django_db(transaction=True)
def test_the_network_is_never_called_inside_a_transaction():
    inside: list[bool] = []

    def fetch() -> FreshToken:
        inside.append(connection.in_atomic_block)
        return FreshToken(access_token="t", lifetime=LIFETIME)

    store().token(fetch)

    assert inside == [False]


class _NoMemory(dict[str, object]):
    def __setitem__(self, key: str, value: object) -> None:
        pass
