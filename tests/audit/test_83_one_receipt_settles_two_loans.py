"""AUDIT 83: one receipt settles two loans, when the first of them had failed.

Two people say that a failed attempt was paid after all, with its receipt. The attempt stays failed
and holds no receipt, so the same one is taken for another loan, too: that one is called paid and
recorded in Mifos X, though the money moved once (design.md 3: a receipt is unique for its partner).
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


def settle(attempt: DisbursementRequest) -> None:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("otieno", "achieng"))
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.PAID,
        receipt=RECEIPT,
        reason="it is on the statement",
        by=one,
        now=timezone.now(),
    )
    confirm(said.pk, by=other, now=timezone.now())


def test_a_receipt_that_two_people_gave_to_a_failed_attempt_is_taken() -> None:
    partner = make_partner()
    failed = make_attempt(make_loan(partner, status=LoanStatus.FAILED), status=AttemptStatus.FAILED)
    silent = make_attempt(
        make_loan(partner, status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN
    )
    apply_verdict(failed.pk, LATE, now=timezone.now())
    settle(failed)

    with pytest.raises(ResolutionRefused):
        settle(silent)

    assert DisbursementRequest.objects.get(pk=silent.pk).status == AttemptStatus.UNKNOWN


def test_it_may_be_said_again_of_the_same_attempt() -> None:
    failed = make_attempt(make_loan(status=LoanStatus.FAILED), status=AttemptStatus.FAILED)
    for _ in range(2):
        apply_verdict(failed.pk, LATE, now=timezone.now())
        settle(failed)
