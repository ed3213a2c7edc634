"""AUDIT 53: a success from an unlisted address is read while its attempt is being failed.

Whether the attempt is closed is looked at before the loan is locked. "Open", it said, so M-Pesa is
to be asked; under the lock it is closed, and nothing at all is done: no question, no review. A
moment later or earlier the same letter calls a person or keeps the attempt open.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from disbursements import settle
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus
from disbursements.retry import retry_refusal
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind

DEAD = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_success_from_elsewhere_is_not_lost_when_its_attempt_is_closed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    kept = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt), is_quarantined=True)
    attempt_of = settle._attempt_of

    def closed_meanwhile(request: Any) -> Any:
        found = attempt_of(request)

        def close() -> None:
            apply_verdict(attempt.pk, DEAD, now=timezone.now())
            connection.close()

        other = threading.Thread(target=close)
        other.start()
        other.join(20)
        return found

    monkeypatch.setattr(settle, "_attempt_of", closed_meanwhile)

    apply_callback(kept.pk)

    loan = LoanTracking.objects.get(pk=loan.pk)
    assert loan.status == LoanStatus.FAILED
    assert retry_refusal(loan) != ""
