"""AUDIT 1: settling attempt 2 wipes the review of attempt 1, which M-Pesa since called paid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resend import withdraw_unsent
from disbursements.resolve import confirm, propose
from disbursements.retry import retry_by_policy, retry_refusal
from disbursements.sending import note_answer
from disbursements.tests.making import make_attempt, make_loan
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mpesa.client import MpesaRefused

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def settled_second_attempt(code: str) -> LoanTracking:
    """Attempt 1 is called paid after its proven failure; people settle attempt 2 as not paid."""
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    second = make_attempt(
        loan, status=AttemptStatus.UNKNOWN, result_code=code, failure_reported_at=NOW
    )
    late = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QD", code="0")
    apply_verdict(first.pk, late, now=NOW)
    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION

    otieno, achieng = (User.objects.create(username=name) for name in ("otieno", "achieng"))
    said = propose(
        second.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="attempt 2 is not on the statement",
        by=otieno,
        now=NOW,
    )
    confirm(said.pk, by=achieng, now=NOW)
    assert DisbursementRequest.objects.get(pk=second.pk).status == AttemptStatus.FAILED
    loan.refresh_from_db()
    return loan


def test_the_success_of_attempt_1_still_keeps_anybody_from_paying_a_third_time():
    loan = settled_second_attempt("2040")

    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert retry_refusal(loan) != ""


def test_no_third_attempt_opens_by_itself():
    loan = settled_second_attempt("1")

    retry_by_policy(loan.partner, now=NOW + timedelta(minutes=1))

    assert LoanTracking.objects.get(pk=loan.pk).status != LoanStatus.PENDING


def test_an_attempt_that_never_left_does_not_take_the_review_along():
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    second = make_attempt(loan, status=AttemptStatus.SUBMITTING, resend_at=NOW, sends_in_doubt=0)
    late = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QD", code="0")
    apply_verdict(first.pk, late, now=NOW)

    # The lender changes the loan in Mifos X, or a rule changes: send_again() calls this.
    withdraw_unsent(second.pk, why="The loan changed in Mifos X", now=NOW)

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION  # else the next pass pays attempt 3


def test_a_gateways_refusal_does_not_take_the_review_along():
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    second = make_attempt(loan, status=AttemptStatus.SUBMITTING, sends_in_doubt=1)
    late = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QD", code="0")
    apply_verdict(first.pk, late, now=NOW)  # while attempt 2 is on its way

    note_answer(second, MpesaRefused("Invalid Remarks", code="400.002.02"), now=NOW)

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION
