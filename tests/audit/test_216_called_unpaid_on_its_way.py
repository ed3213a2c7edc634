"""AUDIT 216: two people may call a payment unpaid that M-Pesa has accepted a second ago.

The page refuses it ("M-Pesa has not been silent long enough"); the model, and so the command, did
not. A statement shows nothing yet of what is on its way: the loan fails, and may be paid again.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking, ReviewReason
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people

pytestmark = pytest.mark.django_db


def accepted(**columns: str) -> DisbursementRequest:
    return make_attempt(
        make_loan(status=LoanStatus.PROCESSING, **columns), status=AttemptStatus.ACCEPTED
    )


def test_nobody_calls_it_unpaid_before_people_were_called() -> None:
    attempt = accepted()

    with pytest.raises(ResolutionRefused, match="not been silent long enough"):
        said_by_people(attempt, ResolutionOutcome.NOT_PAID)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.ACCEPTED


def test_nor_confirms_it_once_the_call_is_over() -> None:
    attempt = accepted(review_reason=ReviewReason.OUTCOME_UNKNOWN)
    one, other = (User.objects.create_user(name) for name in ("otieno", "achieng"))
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement",
        by=one,
        now=timezone.now(),
    )
    LoanTracking.objects.update(review_reason="")

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=other, now=timezone.now())


def test_after_the_call_they_settle_it() -> None:
    attempt = accepted(review_reason=ReviewReason.OUTCOME_UNKNOWN)

    said_by_people(attempt, ResolutionOutcome.NOT_PAID)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.FAILED


def test_a_receipt_is_heard_at_any_time() -> None:
    attempt = accepted()

    said_by_people(attempt, ResolutionOutcome.PAID, "SGH7K2M9QD")

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.PAID
