"""AUDIT 34: a token that is being discarded is warmed again by another thread that just read it.

The thread that was turned away with it gets it a second time, which reads as "a token issued a
moment ago is rejected": the breaker opens, and the shortcode stands still until a person acts.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from django.db import connection

from mpesa.client import FreshToken
from mpesa.tokens import DatabaseTokenStore, forget_warm_tokens


@pytest.fixture(autouse=True)
def _cold():
    forget_warm_tokens()
    yield
    forget_warm_tokens()


@pytest.mark.django_db(transaction=True)
def test_whoever_discards_a_token_does_not_get_it_again():
    numbers = itertools.count(1)

    def fetch() -> FreshToken:
        return FreshToken(access_token=f"token-{next(numbers)}", lifetime=3599)

    def take() -> None:
        store().token(fetch)
        connection.close()

    others: list[threading.Thread] = []

    def another_takes_it_now(execute: Any, *call: Any) -> Any:
        if not others:
            others.append(threading.Thread(target=take))
            others[0].start()
            others[0].join(0.5)  # it may have to wait for us
        return execute(*call)

    rejected = store().token(fetch)
    with connection.execute_wrapper(another_takes_it_now):
        store().discard(rejected)
    others[0].join(10)

    assert store().token(fetch) != rejected


def store() -> DatabaseTokenStore:
    return DatabaseTokenStore("https://daraja.test", "consumer-key")
