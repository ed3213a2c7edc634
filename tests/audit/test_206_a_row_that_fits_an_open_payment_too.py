"""AUDIT 206: a row that fits an open payment and a waiting loan holds the open one only.

"A statement row that fits several loans holds each one that may still be paid" (audit 197). Not if
one of them has a payment whose result is missing: the row is taken for that result. A client has
two loans of the same amount; of the first one M-Pesa is silent, and finance pays the second one
from the portal. People, and M-Pesa, are asked about the first. The next pass pays the second again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.process import due_loans
from disbursements.statement import read_statement
from disbursements.tests.books import (
    WAITING,
    BookOfMifos,
    StatementFile,
    found_loan,
    sent_attempt,
)
from loans.models import LoanTracking, ReviewReason
from partners.models import Partner
from tests.audit.test_61_called_to_a_loan_that_nobody_can_let_go import compare
from tests.audit.test_197_a_row_that_fits_a_waiting_loan_too import umoja

__all__ = ["umoja"]
pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good


def test_the_waiting_loan_waits_for_a_person_too(
    umoja: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mifos = BookOfMifos()
    attempt = sent_attempt(umoja)
    loan = attempt.loan_tracking
    second = found_loan(umoja, client_id=loan.client_id, phone_number=loan.phone_number)
    mifos.holds(loan, WAITING)
    mifos.holds(second, WAITING)
    file = StatementFile()
    file.pays(attempt, receipt="SGX0000009")  # by hand, for the second loan
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    review = LoanTracking.objects.get(pk=loan.pk).review_reason
    assert review == ReviewReason.OUTCOME_UNKNOWN  # as before
    assert due_loans(umoja, now=timezone.now()) == []
