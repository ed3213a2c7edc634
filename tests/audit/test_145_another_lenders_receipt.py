"""AUDIT 145: a loan is settled as paid with the receipt of another lender's payment.

Two lenders pay from one shortcode, so their payments stand in one statement. A receipt read one
line too high closes a borrower's loan as paid who got nothing, and one payment is in two books.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db
RECEIPT = "SGH7K2M9QD"


@pytest.fixture
def open_one() -> DisbursementRequest:
    umoja = make_partner(slug="umoja", mifos_tenant_id="umoja")
    loan = make_loan(umoja, status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    return make_attempt(loan, status=AttemptStatus.UNKNOWN)


def settle(attempt: DisbursementRequest) -> None:
    now = timezone.now()
    said = {"outcome": ResolutionOutcome.PAID, "receipt": RECEIPT, "reason": "seen"}
    first, _ = User.objects.get_or_create(username="otieno")
    second, _ = User.objects.get_or_create(username="achieng")
    confirm(propose(attempt.pk, by=first, now=now, **said).pk, by=second, now=now)


def test_a_receipt_that_another_lender_holds_is_refused(open_one: DisbursementRequest) -> None:
    tumaini = make_partner(slug="tumaini", mifos_tenant_id="tumaini")
    loan = make_loan(tumaini, status=LoanStatus.DISBURSED, mpesa_receipt_number=RECEIPT)
    make_attempt(loan, status=AttemptStatus.COMPLETED, transaction_receipt=RECEIPT)

    with pytest.raises(ResolutionRefused, match="belongs to another loan"):
        settle(open_one)

    open_one.refresh_from_db()
    assert open_one.status == AttemptStatus.UNKNOWN


def test_a_receipt_that_another_lender_was_settled_with_is_refused(
    open_one: DisbursementRequest,
) -> None:
    tumaini = make_partner(slug="tumaini", mifos_tenant_id="tumaini")
    loan = make_loan(tumaini, status=LoanStatus.FAILED)
    failed = make_attempt(loan, status=AttemptStatus.FAILED, failed_at=timezone.now())
    apply_verdict(failed.pk, LATE, now=timezone.now())
    settle(failed)

    with pytest.raises(ResolutionRefused, match="belongs to another loan"):
        settle(open_one)
