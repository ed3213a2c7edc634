"""AUDIT 51: the M-PESA statement shows an open payment as paid, and it fails all the same.

The difference is called "Paid by M-Pesa, result never reached us", and its review says only
"outcome unknown". So a reported failure (which has no signature) and one "not found" still close
the attempt, wipe that review, and the loan is paid again by itself. And "not paid", proposed before
the statement was read, is confirmed after it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.reconcile import run as running
from disbursements.reconcile.run import Order, reconcile
from disbursements.reconcile.window import Window
from disbursements.resend import take_back_unsent
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_callback
from disbursements.statement import read_statement
from disbursements.tests.books import WAITING, BookOfMifos, StatementFile, fresh, sent_attempt
from disbursements.tests.letters import ask, failure, letter, status_answer
from disbursements.tests.making import make_partner, make_product
from loans.eligibility import Refusal
from loans.models import HoldReason, LoanStatus
from mpesa.models import CallbackKind, RequestKind
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own
NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY = Window(first=date(2026, 11, 22), last=date(2026, 11, 22))


@pytest.fixture
def umoja() -> Any:
    with time_machine.travel(NOON, tick=True) as clock:
        partner = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
        make_product(partner)
        yield partner, clock
        connection.close()


def compare(attempt: DisbursementRequest, monkeypatch: Any, folder: Path) -> None:
    """Reconcile with a statement that shows this attempt as paid."""
    mifos = BookOfMifos()
    mifos.holds(attempt.loan_tracking, WAITING)
    monkeypatch.setattr(running, "mifos_client", lambda _: mifos)
    statement = StatementFile()
    statement.pays(attempt, receipt="SGX0000001")
    order = Order(
        partners=(Partner.objects.get(),),
        window=TODAY,
        statement=read_statement(statement.write(folder)),
        shortcode="600111",
    )
    report = reconcile(order, now=timezone.now())
    assert [each.kind.value for each in report.differences] == ["missing_result"]


def test_what_the_statement_shows_as_paid_is_not_failed_by_a_not_found(
    umoja: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    partner, clock = umoja
    attempt = sent_attempt(partner)
    body = failure(attempt, "1", "short of funds")  # forged, or simply wrong
    apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)
    compare(attempt, monkeypatch, tmp_path)
    clock.shift(timedelta(minutes=11))

    question = ask(attempt, RequestKind.STATUS)
    answer = status_answer(attempt, code="2033")
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, answer).pk)
    retry_by_policy(partner, now=timezone.now())

    attempt = fresh(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.loan_tracking.status == LoanStatus.PROCESSING
    assert attempt.loan_tracking.review_reason


def test_not_paid_that_was_proposed_before_the_statement_was_read_is_not_confirmed(
    umoja: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    partner, clock = umoja
    attempt = sent_attempt(partner)
    DisbursementRequest.objects.update(status=AttemptStatus.UNKNOWN)
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement of this morning",
        by=User.objects.create(username="otieno"),
        now=timezone.now(),
    )
    clock.shift(timedelta(minutes=5))
    compare(attempt, monkeypatch, tmp_path)
    clock.shift(timedelta(minutes=5))

    with pytest.raises(ResolutionRefused, match="spoken of a success"):
        confirm(said.pk, by=User.objects.create(username="achieng"), now=timezone.now())


def test_what_the_statement_shows_as_paid_is_not_taken_back_as_unsent(
    umoja: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    partner, _ = umoja
    attempt = sent_attempt(partner)
    DisbursementRequest.objects.update(  # it could not be sent, and is sent again soon
        status=AttemptStatus.SUBMITTING, sends_in_doubt=0, resend_at=timezone.now()
    )
    compare(attempt, monkeypatch, tmp_path)

    paused = Refusal(hold=HoldReason.PARTNER_PAUSED)
    take_back_unsent(partner, gate=paused, now=timezone.now())

    loan = fresh(attempt).loan_tracking
    assert loan.review_reason  # a person was called: the borrower seems to have the money
    assert loan.status == LoanStatus.PROCESSING
