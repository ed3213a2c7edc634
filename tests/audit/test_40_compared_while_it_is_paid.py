"""AUDIT 40: a payment that is paid and recorded while the books are compared differs from itself.

Our rows are read first, Mifos X and the statement after them, and people are called minutes later.
Each loan in flight then says "the books differ", or "possible double payment", until two people
have settled it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import DisbursementRequest
from disbursements.reconcile import run as running
from disbursements.reconcile.run import Order, reconcile
from disbursements.reconcile.window import Window
from disbursements.shown import complete
from disbursements.statement import read_statement
from disbursements.tests.books import (
    WAITING,
    BookOfMifos,
    StatementFile,
    disbursal_of,
    fresh,
    sent_attempt,
)
from disbursements.tests.making import make_partner, make_product
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus
from mifos.client import LoanDetail
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own
NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY = Window(first=date(2026, 11, 22), last=date(2026, 11, 22))
RECEIPT = "SGX0000001"


class BusyMifos(BookOfMifos):
    """While it is read, a pass gets the result of the payment and records it."""

    attempt: DisbursementRequest | None = None
    external_id: str | None = None

    def loan(self, loan_id: int) -> LoanDetail:
        if self.attempt is not None:
            attempt, self.attempt = self.attempt, None
            paid = Verdict(proof=Proof.PAID, reason="paid", receipt=RECEIPT, code="0")
            apply_verdict(attempt.pk, paid, now=timezone.now())
            attempt = fresh(attempt)
            changes = {} if self.external_id is None else {"external_id": self.external_id}
            complete(attempt, disbursal_of(attempt, **changes))
            self.records(attempt, **changes)
        return super().loan(loan_id)


@pytest.fixture
def umoja() -> Any:
    with time_machine.travel(NOON, tick=True):
        partner = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
        make_product(partner)
        yield partner
        connection.close()


@pytest.mark.parametrize("external_id", [None, ""], ids=["our id", "no ids kept"])
@pytest.mark.parametrize("with_statement", [False, True])
def test_what_is_paid_and_recorded_meanwhile_calls_nobody(
    umoja: Partner,
    with_statement: bool,
    external_id: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    attempt = sent_attempt(umoja)
    mifos = BusyMifos()
    mifos.holds(attempt.loan_tracking, WAITING)
    mifos.attempt, mifos.external_id = attempt, external_id
    monkeypatch.setattr(running, "mifos_client", lambda _: mifos)
    statement = StatementFile()
    statement.pays(attempt, receipt=RECEIPT)
    order = Order(
        partners=(umoja,),
        window=TODAY,
        statement=read_statement(statement.write(tmp_path)) if with_statement else None,
        shortcode="600111" if with_statement else "",
    )

    reconcile(order, now=timezone.now())

    loan = fresh(attempt).loan_tracking
    assert (loan.status, loan.review_reason) == (LoanStatus.DISBURSED, "")
