"""AUDIT 93: attempt 2 fails, honestly, while attempt 1 is in doubt: all payouts stop.

The statement, by likeness, or a letter from a strange address calls the failed attempt 1 paid. That
calls a person and stops no shortcode. Then M-Pesa says, for the first time and truly, that attempt
2 failed. Of that one nobody ever spoke of a success; but the loan's review counts as if M-Pesa had,
so it "contradicts itself" and every lender of the shortcode is stopped (reliability.md S19; audits
59 and 81: it is then in a stranger's hands, after all).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.reconcile.follow_up import follow_up
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind
from mpesa.shortcodes import is_stopped
from tests.audit.test_81_a_row_by_likeness_stops_all_lenders import told

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
AGO = timezone.now() - timedelta(hours=1)


def call_paid(attempt: DisbursementRequest, who: str) -> None:
    if who == "the statement":
        found = Difference(
            kind=DifferenceKind.FAILED_BUT_PAID,
            said="The statement shows receipt SGX0000001, and attempt 1 is closed as failed",
            loan=attempt.loan_tracking,
            attempt_id=attempt.pk,
            receipt="SGX0000001",
        )
        follow_up([found], now=timezone.now())
        return
    is_strange = who == "a stranger"
    body = success(attempt)
    kept = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body, is_quarantined=is_strange)
    apply_callback(kept.pk)


@pytest.mark.parametrize("how", ["a result", "an answer"])
@pytest.mark.parametrize("who", ["the statement", "a stranger", "M-Pesa"])
def test_a_failure_of_one_attempt_is_no_word_against_a_success_of_another(
    who: str, how: str
) -> None:
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=AGO)
    times = {"first_sent_at": AGO, "last_sent_at": AGO}
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, **times)
    call_paid(first, who)
    assert is_stopped(*PLACE) == (who == "M-Pesa")

    told(second, how)

    assert is_stopped(*PLACE) == (who == "M-Pesa")
    second.refresh_from_db()
    assert second.status == AttemptStatus.UNKNOWN  # people look at the loan first
    assert LoanTracking.objects.get().review_reason == ReviewReason.CONTRADICTION
