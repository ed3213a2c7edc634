"""AUDIT 18: two long user names do not fit into the event of what both settled (PostgreSQL)."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus, ResolutionOutcome
from disbursements.resolve import confirm, propose
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus

pytestmark = pytest.mark.django_db


def test_two_people_with_long_names_can_settle():
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    first, second = (User.objects.create(username=f"{n}@{'x' * 140}") for n in ("a", "b"))
    facts = {"receipt": "", "reason": "statement", "now": timezone.now()}
    said = propose(attempt.pk, outcome=ResolutionOutcome.NOT_PAID, by=first, **facts)

    confirm(said.pk, by=second, now=timezone.now())

    assert all(len(event.actor) <= 150 for event in LoanEvent.objects.all())
