"""AUDIT 18c: the payment whose receipt people gave to another one can only be called "not paid".

Two people settle a silent payment with receipt R; M-Pesa then proves R for another loan. Both are
called (audit 184). Of the true one nobody can say "paid": "R belongs to loan N", for ever, and the
other's row is closed and keeps it. The one way out of the review is "not paid", which is false, and
lets the client be paid a second time.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, ResolutionOutcome
from disbursements.tests.making import make_partner
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import open_payment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.xfail(
    strict=True,
    reason="the index one_attempt_per_receipt and a closed row that keeps a false receipt: the "
    "mend is a decision, not a line",
)
def test_two_people_can_say_what_mpesa_says() -> None:
    partner = make_partner()
    given, proven = open_payment(partner), open_payment(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    apply_verdict(proven.pk, LATE, now=timezone.now())

    said_by_people(proven, ResolutionOutcome.PAID, LATE.receipt)

    proven.refresh_from_db()
    assert proven.status == AttemptStatus.PAID
