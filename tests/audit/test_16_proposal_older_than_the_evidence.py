"""AUDIT 16: a proposal "not paid" made before M-Pesa spoke of a success can still be confirmed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus, ResolutionOutcome
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.models import CallbackKind

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.mark.parametrize(
    "changes", [{"TransactionAmount": 12_400}, {"TransactionReceipt": None}], ids=["sum", "bare"]
)
def test_what_the_first_person_could_not_know_voids_the_proposal(changes):
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    otieno, achieng = (User.objects.create(username=name) for name in ("otieno", "achieng"))
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement of 09:00",
        by=otieno,
        now=NOW - timedelta(hours=3),
    )
    body = success(attempt, **changes)  # 11:00: result 0
    apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body).pk)

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=achieng, now=NOW)
