"""AUDIT 194: the float of a shortcode "does not cover the next loan", and nobody can pay that loan.

Two lenders pay from one shortcode. One of them is no longer configured for Mifos X: no pass reads
or pays its loans, nor writes their holds any more. Its big loan stays "held for the float", the
oldest of all, and every other lender's loans wait until the float covers it as well. (Audit 7 was
about a lender that is paused or switched off.)
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import HoldReason, LoanStatus
from mpesa.shortcodes import mark_float_short
from tests.audit.test_07_float_waits_for_a_loan_that_is_gone import NOW, PLACE, is_short_after

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("status", [LoanStatus.PENDING, LoanStatus.FAILED])
def test_a_lender_without_mifos_x_does_not_park_another_one(status: LoanStatus) -> None:
    gone, busy = make_partner(is_mifos_configured=False), make_partner()
    waits = {"hold_reason": HoldReason.FLOAT_SHORT} if status == LoanStatus.PENDING else {}
    big = make_loan(
        gone,
        status=status,
        loan_amount=Decimal(200_000),
        approved_on=timezone.localdate() - timedelta(days=1),
        next_attempt_at=NOW if status == LoanStatus.FAILED else None,
        **waits,
    )
    if status == LoanStatus.FAILED:
        make_attempt(big, status="failed", result_code="1")
    make_loan(busy, loan_amount=Decimal(1_000), hold_reason=HoldReason.FLOAT_SHORT)
    mark_float_short(*PLACE, now=NOW)

    assert not is_short_after(150_000)
