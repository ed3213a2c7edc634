"""AUDIT 62: the comparison of the books names one attempt for all that it found of a loan.

The statement shows two failed attempts of a loan as paid. The review names the first only, so two
people settle that one, the review is over, and the loan may be paid again while its other attempt
stands on the statement. The next comparison says the same words again, and stays silent.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.questioned import questioned
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.reconcile.follow_up import follow_up
from disbursements.retry import retry_refusal
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db


def test_each_attempt_that_the_statement_shows_as_paid_is_in_doubt():
    ago = timezone.now() - timedelta(minutes=1)
    loan = make_loan(status=LoanStatus.FAILED)
    failed = {"status": AttemptStatus.FAILED, "result_code": "2040"}
    first = make_attempt(loan, amount=Decimal(12_000), **failed)
    second = make_attempt(loan, **failed)  # Mifos X had changed the amount in between
    found = [
        Difference(
            kind=DifferenceKind.FAILED_BUT_PAID,
            said=f"The statement shows receipt {receipt}, attempt {one.attempt_no} is closed",
            partner=loan.partner.slug,
            loan=loan,
            attempt_id=one.pk,
            receipt=receipt,
        )
        for one, receipt in ((first, "SGX0000001"), (second, "SGX0000002"))
    ]
    follow_up(found, now=ago)
    assert questioned(loan) == {first.pk, second.pk}

    settle_by_people(first, "not-paid")  # that row was another borrower's
    follow_up(found, now=timezone.now())  # tomorrow's comparison

    loan.refresh_from_db()
    assert questioned(loan) == {second.pk}
    assert retry_refusal(loan)
