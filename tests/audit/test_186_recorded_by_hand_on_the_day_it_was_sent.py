"""AUDIT 186: staff record a payment by hand on the true day, and the books are said to differ.

M-Pesa paid on Monday, in silence. Staff find the receipt on the statement, enter it in Mifos X
with Monday's date, and two people settle it on Thursday. Loan Poll itself would have recorded it on
the day it was sent (audit 132); the comparison still holds the day of the settlement for the day of
the payment, calls a person, and advises to undo the disbursement: an undone loan asks to be paid.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.reconcile.differences import DifferenceKind
from disbursements.reconcile.mifos_book import compare_with_mifos
from disbursements.reconcile.run import Case
from disbursements.tests.books import ACTIVE, by_hand, detail_of, fresh
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(days=3)


@pytest.mark.parametrize(("days", "is_told"), [(3, False), (0, False), (4, True)])
def test_the_day_it_was_sent_is_no_wrong_date(days: int, is_told: bool) -> None:
    partner = make_partner()
    loan = make_loan(partner, status=LoanStatus.PROCESSING, approved_on=timezone.localdate(AGO))
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN, first_sent_at=AGO, last_sent_at=AGO)
    settle_by_people(attempt, "paid", "SGH7K2M9QD")
    paid = fresh(attempt)
    entered = by_hand(
        receipt_number="SGH7K2M9QD",
        amount=paid.principal,
        date=timezone.localdate() - timedelta(days=days),
    )
    case = Case(
        partner=partner, loan_id=loan.loan_id, cycles=(paid.loan_tracking,), attempts=(paid,)
    )

    found = compare_with_mifos(case, detail_of(paid.loan_tracking, ACTIVE, entered))

    kinds = [each.kind for each in found.differences]
    assert kinds == ([DifferenceKind.WRONG_DATE_IN_MIFOS] if is_told else [])
