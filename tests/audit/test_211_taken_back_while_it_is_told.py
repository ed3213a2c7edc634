"""AUDIT 211: a payment that two people took back is recorded all the same, and nobody hears.

Since audit 207 they may say so while Mifos X is being told, or while the record waits for its
checker: "if Mifos X shows the disbursement, undo it there". It does not show it yet, and they go.
A second later, or a day later, it does: the payment becomes "completed", its loan "disbursed", with
no review. The client never got the money, and owes it.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.record import Books, record_one
from disbursements.tests.making import make_partner
from disbursements.tests.peers import FakeMifos, detail_of, disbursal_of
from loans.models import LoanStatus, ReviewReason
from mifos.client import DisburseOrder
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of, open_payment

pytestmark = pytest.mark.django_db(transaction=True)


def given_and_proven() -> DisbursementRequest:
    partner = make_partner()
    given, proven = open_payment(partner), open_payment(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(proven.pk, LATE, now=timezone.now())
    given.refresh_from_db()
    return given


def record(given: DisbursementRequest, mifos: Any) -> None:
    DisbursementRequest.objects.update(next_record_at=timezone.now())
    record_one(given.pk, Books(partner=given.partner, mifos=mifos))


def shown(given: DisbursementRequest) -> Any:
    row = disbursal_of(given, receipt_number=LATE.receipt)
    return detail_of(loan_of(given), status_id=300, disbursals=(row,))


def is_called_to(given: DisbursementRequest) -> None:
    given.refresh_from_db()
    loan = loan_of(given)
    assert (given.status, loan.status) == (AttemptStatus.COMPLETED, LoanStatus.DISBURSED)
    assert loan.review_reason == ReviewReason.BOOKS_DIFFER
    assert "undo" in loan.error_message


def test_taken_back_while_mifos_x_is_told() -> None:
    given = given_and_proven()

    class PeopleAreFaster(FakeMifos):
        def disburse(self, order: DisburseOrder) -> Any:
            said_by_people(given, ResolutionOutcome.NOT_PAID)
            self.loans[order.loan_id] = shown(given)
            return super().disburse(order)

    mifos = PeopleAreFaster()
    mifos.know(loan_of(given))

    record(given, mifos)

    is_called_to(given)


@pytest.mark.parametrize("is_settled", [True, False])
def test_its_checker_approves_it_after_that(*, is_settled: bool) -> None:
    given = given_and_proven()
    DisbursementRequest.objects.filter(pk=given.pk).update(mifos_command_id=5)
    said_by_people(given, ResolutionOutcome.NOT_PAID)
    mifos = FakeMifos()
    mifos.know(loan_of(given))
    record(given, mifos)  # people are called: pay the client another way
    assert "checker" in loan_of(given).error_message
    if is_settled:
        said_by_people(given, ResolutionOutcome.NOT_PAID)
    mifos.loans[loan_of(given).loan_id] = shown(given)

    record(given, mifos)

    is_called_to(given)
    said_by_people(given, ResolutionOutcome.NOT_PAID)
    assert loan_of(given).review_reason == ""
