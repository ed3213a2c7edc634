"""AUDIT 207: a receipt is kept for ever by a payment that Mifos X can never record.

Two people gave receipt R to the wrong payment; M-Pesa proves R for another. They are told to say
"not paid" once Mifos X shows the disbursement (audit 18c). It never will: the loan, whose client
got no money, was rejected there in the meantime. So nobody can take R back, M-Pesa's own proof is a
mismatch at every answer, and of the payment that R paid people can say one thing only: "not paid".
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.record import Books, record_one
from disbursements.tests.making import make_partner
from disbursements.tests.peers import FakeMifos, detail_of
from loans.models import ReviewReason
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of, open_payment

pytestmark = pytest.mark.django_db(transaction=True)
REJECTED = 500


def test_the_true_owner_gets_it() -> None:
    partner = make_partner()
    given, proven = open_payment(partner), open_payment(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    mifos = FakeMifos()
    mifos.loans[loan_of(given).loan_id] = detail_of(loan_of(given), status_id=REJECTED)
    record_one(given.pk, Books(partner=partner, mifos=mifos))  # type: ignore[arg-type]
    assert loan_of(given).review_reason == ReviewReason.PAID_NOT_RECORDED
    apply_verdict(proven.pk, LATE, now=timezone.now())

    said_by_people(given, ResolutionOutcome.NOT_PAID)
    said_by_people(proven, ResolutionOutcome.PAID, LATE.receipt)

    statuses = DisbursementRequest.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses)[1] == AttemptStatus.PAID
