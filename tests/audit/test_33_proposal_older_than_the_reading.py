"""AUDIT 33: "not paid" is confirmed over a success that came before the proposal and was read after
it, or is not read yet.

Audit 16 asks when the letter came. What counts is when it was read: a letter may wait in the queue,
or for the next pass, while two people settle the loan; then it may be paid again.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements import settle
from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.models import CallbackKind, MpesaCallback

pytestmark = pytest.mark.django_db


def proposed_not_paid(attempt: DisbursementRequest) -> ReviewResolution:
    return propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement",
        by=User.objects.create(username="otieno"),
        now=timezone.now(),
    )


def open_attempt() -> DisbursementRequest:
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    return make_attempt(loan, status=AttemptStatus.UNKNOWN)


def waiting_letter(attempt: DisbursementRequest, **changes: object) -> MpesaCallback:
    kept = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt, **changes))
    MpesaCallback.objects.update(received_at=timezone.now() - timedelta(minutes=3))
    return kept


def test_a_success_that_came_before_the_proposal_and_was_read_after_it_voids_it():
    attempt = open_attempt()
    kept = waiting_letter(attempt, TransactionReceipt=None)
    said = proposed_not_paid(attempt)
    apply_callback(kept.pk)

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=User.objects.create(username="achieng"), now=timezone.now())


def test_nothing_is_settled_as_not_paid_while_a_letter_about_it_is_unread():
    attempt = open_attempt()
    waiting_letter(attempt)
    said = proposed_not_paid(attempt)

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=User.objects.create(username="achieng"), now=timezone.now())

    assert DisbursementRequest.objects.get(pk=attempt.pk).status == AttemptStatus.UNKNOWN


def test_a_letter_that_waited_for_the_loan_while_somebody_proposed_voids_it(monkeypatch):
    attempt = open_attempt()
    kept = waiting_letter(attempt, TransactionReceipt=None)
    said: list[ReviewResolution] = []
    apply = settle._apply

    def apply_late(*args, **facts):  # begun, dated, and then kept waiting by the proposal's lock
        said.append(proposed_not_paid(attempt))
        return apply(*args, **facts)

    monkeypatch.setattr(settle, "_apply", apply_late)
    apply_callback(kept.pk)

    with pytest.raises(ResolutionRefused):
        confirm(said[0].pk, by=User.objects.create(username="achieng"), now=timezone.now())
