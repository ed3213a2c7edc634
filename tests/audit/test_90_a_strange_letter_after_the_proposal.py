"""AUDIT 90: "not paid" is confirmed over a success from an unlisted address, read after it was
proposed.

A failure was reported, and the first person proposes "not paid". Then a letter says "paid"; the
list of Safaricom's addresses is stale. M-Pesa is asked, a person is called, and "not found" fails
nothing any more; but the old proposal still does. It is confirmed, the doubt is gone with the
review, and the result code's policy pays the loan anew, by itself (audits 16, 33 and 51: a letter
that is read after a proposal voids it).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused, confirm, propose, withdraw
from disbursements.retry import retry_by_policy
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(hours=1)


def propose_not_paid(attempt: DisbursementRequest, by: User) -> int:
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement",
        by=by,
        now=timezone.now(),
    )
    return said.pk


@pytest.mark.parametrize("code", ["1", ""], ids=["a failure was reported", "silence"])
def test_what_a_strange_letter_says_voids_the_proposal(code: str) -> None:
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.UNKNOWN,
        result_code=code,
        failure_reported_at=AGO if code else None,
        first_sent_at=AGO,
        last_sent_at=AGO,
    )
    otieno, achieng = (User.objects.create(username=name) for name in ("otieno", "achieng"))
    said = propose_not_paid(attempt, otieno)
    kept = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt), is_quarantined=True)
    apply_callback(kept.pk)

    with pytest.raises(ResolutionRefused):
        confirm(said, by=achieng, now=timezone.now())
    retry_by_policy(loan.partner, now=timezone.now())

    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
    assert LoanTracking.objects.get().status == LoanStatus.PROCESSING
    # Whoever has looked at it may say so all the same.
    withdraw(said, by=otieno, now=timezone.now())
    confirm(propose_not_paid(attempt, otieno), by=achieng, now=timezone.now())
    assert LoanTracking.objects.get().status == LoanStatus.FAILED
