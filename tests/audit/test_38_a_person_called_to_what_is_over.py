"""AUDIT 38: a person is called to a payment whose verdict, or record, came a moment before.

The cause is read first and the loan locked after it. The review of a loan that is disbursed, or
failed, then ends by two people only; and no failed loan in review is ever paid by itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from disbursements.ask import call_people
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus
from disbursements.record import Books, record_one
from disbursements.shown import complete
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_receipt
from disbursements.tests.peers import FakeMifos, detail_of, disbursal_of
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus
from mifos.client import MifosUncertain

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def test_nobody_is_called_to_a_silent_payment_that_speaks_at_that_moment():
    loan = make_loan(status=LoanStatus.PROCESSING)
    long_ago = NOW - timedelta(days=3)
    attempt = make_attempt(
        loan, status=AttemptStatus.UNKNOWN, first_sent_at=long_ago, last_sent_at=long_ago
    )
    dead = Verdict(proof=Proof.DEAD, reason="Cancelled", code="0")
    said: list[str] = []

    def answer_after_the_list(execute: Any, *call: Any) -> Any:
        found = execute(*call)
        if not said:
            said.append("")
            said.append(apply_verdict(attempt.pk, dead, asked_at=NOW, now=NOW))
        return found

    with connection.execute_wrapper(answer_after_the_list):
        call_people(loan.partner, now=NOW)

    loan.refresh_from_db()
    assert (loan.status, loan.review_reason) == (LoanStatus.FAILED, "")


def test_nobody_is_called_to_a_record_that_another_pass_has_brought_in():
    partner = make_partner()
    loan = make_loan(partner, status=LoanStatus.PROCESSING, mpesa_receipt_number=make_receipt())
    attempt = make_attempt(
        loan,
        status=AttemptStatus.PAID,
        paid_at=NOW - timedelta(hours=2),
        next_record_at=NOW - timedelta(hours=1),
    )

    class SlowMifos(FakeMifos):
        def disburse(self, order: Any) -> Any:
            complete(attempt, disbursal_of(attempt))  # a person has pressed "record now"
            raise MifosUncertain("no answer in time")

    mifos: Any = SlowMifos()
    mifos.loans[loan.loan_id] = detail_of(loan)

    record_one(attempt.pk, Books(partner=partner, mifos=mifos))

    loan.refresh_from_db()
    assert (loan.status, loan.review_reason) == (LoanStatus.DISBURSED, "")
