"""AUDIT 110: a payment is sent again as another loan than the one it was promised for.

Before a send is repeated, Mifos X must still show what was promised: amounts, phone and currency
are compared. Between two sends the loan's approval may be undone there, its product changed and the
loan approved anew for the same amount (audit 102): the money then goes out for a product that this
lender does not enable, before the day it is due, or on an approval given for the earlier one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import send_again
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanStatus, LoanTracking
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
NOW = timezone.now()
HOUR = timedelta(hours=1)
NEVER_LEFT = {"status": AttemptStatus.SUBMITTING, "resend_at": NOW - HOUR}
TWICE_NOT_FOUND = {
    "status": AttemptStatus.UNKNOWN,
    "sends_in_doubt": 1,
    "first_not_found_at": NOW - 2 * HOUR,
    "last_not_found_at": NOW - HOUR,
}


def sent_again(stand: dict[str, Any], **changes: Any) -> FakeMpesa:
    """Return M-Pesa after a resend of an attempt that stands so, its loan changed in Mifos X."""
    partner = make_partner()
    make_product(partner)
    yesterday = timezone.localdate() - timedelta(days=1)
    loan = make_loan(partner, status=LoanStatus.PROCESSING, approved_on=yesterday)
    first = NOW - 3 * HOUR
    make_attempt(loan, approved_on=yesterday, first_sent_at=first, last_sent_at=first, **stand)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, **changes)
    send_again(DisbursementRequest.objects.get().pk, make_shop(whole(partner), mifos, mpesa))
    return mpesa


@pytest.mark.parametrize("stand", [NEVER_LEFT, TWICE_NOT_FOUND])
def test_the_same_loan_is_sent_again(stand: dict[str, Any]) -> None:
    assert len(sent_again(stand).orders) == 1


@pytest.mark.parametrize("stand", [NEVER_LEFT, TWICE_NOT_FOUND])
@pytest.mark.parametrize("change", ["product_id", "approved_on", "expected_disbursement_date"])
def test_another_loan_is_not_sent_again(stand: dict[str, Any], change: str) -> None:
    today = timezone.localdate()
    tomorrow = today + timedelta(days=1)
    now_there = {"product_id": 2, "approved_on": today, "expected_disbursement_date": tomorrow}

    mpesa = sent_again(stand, **{change: now_there[change]})

    assert mpesa.orders == []
    loan = LoanTracking.objects.get()
    has_left = stand is TWICE_NOT_FOUND
    assert (loan.status, loan.review_reason) == (
        (LoanStatus.PROCESSING, "mifos_changed") if has_left else (LoanStatus.PENDING, "")
    )
