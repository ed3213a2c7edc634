"""AUDIT 18c: the payment whose receipt people gave to another one can only be called "not paid".

Two people settle a silent payment with receipt R; M-Pesa then proves R for another loan. Both are
called (audit 184). Of the true one nobody can say "paid": "R belongs to loan N", for ever, and the
other's row is closed and keeps it. The one way out of the review is "not paid", which is false, and
lets the client be paid a second time.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.record import Books, record_one
from disbursements.resolve import ResolutionRefused
from disbursements.shown import complete
from disbursements.tests.making import make_partner
from disbursements.tests.peers import FakeMifos
from loans.models import LoanStatus, ReviewReason
from mifos.client import Disbursal
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of, open_payment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def given() -> DisbursementRequest:
    """A silent payment to which two people gave a receipt, recorded in Mifos X since."""
    attempt = open_payment(make_partner())
    said_by_people(attempt, ResolutionOutcome.PAID, LATE.receipt)
    complete(attempt, recorded(attempt))
    return attempt


def recorded(attempt: DisbursementRequest) -> Disbursal:
    return Disbursal(
        transaction_id=7,
        amount=attempt.principal,
        date=timezone.localdate(),
        external_id=attempt.mifos_external_id,
        receipt_number=LATE.receipt,
        account_number=attempt.msisdn,
        is_reversed=False,
    )


def test_two_people_can_say_what_mpesa_says_once_the_receipt_was_taken_back(
    given: DisbursementRequest,
) -> None:
    proven = open_payment(given.partner)
    apply_verdict(proven.pk, LATE, now=timezone.now())

    said_by_people(given, ResolutionOutcome.NOT_PAID)
    said_by_people(proven, ResolutionOutcome.PAID, LATE.receipt)

    for attempt in (given, proven):
        attempt.refresh_from_db()
    assert (proven.status, proven.transaction_receipt) == (AttemptStatus.PAID, LATE.receipt)
    assert (given.status, given.transaction_receipt) == (
        AttemptStatus.COMPLETED,
        f"NOT-{LATE.receipt}",
    )
    loan = loan_of(given)  # undone in Mifos X by a person, it is paid in a new cycle
    assert (loan.status, loan.review_reason) == (LoanStatus.DISBURSED, "")
    assert loan.mpesa_receipt_number == given.transaction_receipt


def test_mpesa_says_it_once_more_and_nobody_else_is_needed(given: DisbursementRequest) -> None:
    proven = open_payment(given.partner)
    apply_verdict(proven.pk, LATE, now=timezone.now())
    said_by_people(given, ResolutionOutcome.NOT_PAID)

    apply_verdict(proven.pk, LATE, asked_at=timezone.now(), now=timezone.now())

    proven.refresh_from_db()
    assert proven.status == AttemptStatus.PAID


def test_what_mpesa_gave_to_no_other_is_not_taken_back(given: DisbursementRequest) -> None:
    with pytest.raises(ResolutionRefused, match="proved it paid"):
        said_by_people(given, ResolutionOutcome.NOT_PAID)


def test_what_was_taken_back_before_it_was_recorded_is_not_recorded() -> None:
    given = open_payment(make_partner())
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(open_payment(given.partner).pk, LATE, now=timezone.now())
    said_by_people(given, ResolutionOutcome.NOT_PAID)
    mifos: Any = FakeMifos()
    mifos.know(loan_of(given))

    for _ in range(2):
        DisbursementRequest.objects.update(next_record_at=timezone.now())
        assert not record_one(given.pk, Books(partner=given.partner, mifos=mifos))

    assert mifos.orders == []
    assert loan_of(given).review_reason == ReviewReason.BOOKS_DIFFER

    said_by_people(given, ResolutionOutcome.NOT_PAID)  # a person disburses it by hand meanwhile
    DisbursementRequest.objects.update(next_record_at=timezone.now())
    record_one(given.pk, Books(partner=given.partner, mifos=mifos))

    assert not loan_of(given).review_reason
