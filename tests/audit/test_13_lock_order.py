"""AUDIT 13: a status result locks the shortcode and then the loan; all others do it the other way.

Two letters at one instant (the payment's 2001, and the question's 2001) deadlock on PostgreSQL.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from disbursements import settle
from disbursements.models import AttemptStatus
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import shortcode_of

postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer"
)


@pytest.mark.django_db
def test_a_status_result_locks_the_loan_before_the_shortcode(monkeypatch):
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN)
    order: list[str] = []
    for name in ("apply_verdict", "open_breaker"):
        real = getattr(settle, name)
        monkeypatch.setattr(
            settle, name, lambda *a, _n=name, _r=real, **k: (order.append(_n), _r(*a, **k))[1]
        )
    question = ask(attempt, RequestKind.STATUS)
    body = status_answer(attempt, code="2001")

    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)

    assert order == ["apply_verdict", "open_breaker"]


@postgresql_only
@pytest.mark.django_db(transaction=True)
def test_two_letters_of_one_refused_credential_do_not_deadlock(monkeypatch: Any) -> None:
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN)
    shortcode_of("sandbox", "600000")
    payment = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, failure(attempt, "2001"))
    question = ask(attempt, RequestKind.STATUS)
    answer = letter(question, CallbackKind.STATUS_RESULT, status_answer(attempt, code="2001"))
    both_hold_one = threading.Barrier(2)
    real_stop, real_verdict = settle._stop, settle.apply_verdict

    def meet() -> None:
        # In one lock order the second waits for the first, and never comes here.
        with suppress(threading.BrokenBarrierError):
            both_hold_one.wait(1)

    def stop(*args: Any, **facts: Any) -> None:
        real_stop(*args, **facts)
        if threading.current_thread().name == "status":
            meet()

    def verdict(*args: Any, **facts: Any) -> str:
        said = real_verdict(*args, **facts)
        if threading.current_thread().name == "payment":
            meet()
        return said

    monkeypatch.setattr(settle, "_stop", stop)
    monkeypatch.setattr(settle, "apply_verdict", verdict)
    failures: list[Exception] = []

    def read(pk: int) -> None:
        try:
            apply_callback(pk)
        except OperationalError as exc:
            failures.append(exc)
        finally:
            connection.close()

    readers = [
        threading.Thread(target=read, args=(payment.pk,), name="payment"),
        threading.Thread(target=read, args=(answer.pk,), name="status"),
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(20)

    assert failures == []
    assert transaction.get_autocommit()
