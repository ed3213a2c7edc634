"""AUDIT 183: a receipt that people gave to the wrong loan, and took back, is lost for the true one.

Two people say of a failed attempt that it was paid, with receipt R. They see the error and settle
it as not paid. R is another loan's, of which M-Pesa stays silent: it cannot be settled as paid, for
"R belongs to another loan" for ever. Only "not paid" is left, and that pays the client twice.
"""

from __future__ import annotations

import dataclasses

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import (
    failed_and_given,
    said_by_people,
)

pytestmark = pytest.mark.django_db(transaction=True)
RECEIPT = LATE.receipt


def silent_payment() -> DisbursementRequest:
    return make_attempt(
        make_loan(make_partner(), status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN
    )


@pytest.mark.parametrize(
    ("outcome", "receipt"),
    [(ResolutionOutcome.NOT_PAID, ""), (ResolutionOutcome.PAID, "SGH7K2M9QX")],
)
def test_what_was_taken_back_settles_the_true_loan(
    outcome: ResolutionOutcome, receipt: str
) -> None:
    given, silent = failed_and_given(RECEIPT), silent_payment()
    once_more = dataclasses.replace(LATE, receipt="SGH7K2M9QX")
    apply_verdict(given.pk, once_more, now=timezone.now())  # so people look at it again
    said_by_people(given, outcome, receipt)

    said_by_people(silent, ResolutionOutcome.PAID, RECEIPT)

    silent.refresh_from_db()
    assert silent.status == AttemptStatus.PAID


def test_nobody_is_called_to_what_was_taken_back() -> None:
    given, silent = failed_and_given(RECEIPT), silent_payment()
    said_by_people(given, ResolutionOutcome.NOT_PAID)

    apply_verdict(silent.pk, LATE, now=timezone.now())

    assert set(LoanTracking.objects.values_list("review_reason", flat=True)) == {""}


def test_what_stands_still_settles_one_loan() -> None:
    failed_and_given(RECEIPT)

    with pytest.raises(ResolutionRefused):
        said_by_people(silent_payment(), ResolutionOutcome.PAID, RECEIPT)
