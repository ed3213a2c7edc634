"""AUDIT 91: a success from an unlisted address is taken back as "never left", and paid again.

An attempt waits to be sent again: as far as we know no byte of it left (a backup was restored, or
our own word for it is wrong). A letter from a strange address says that it is paid. "Asking
M-Pesa", the outcome says; but only what is accepted or unknown is asked about. So nobody asks, no
two people may settle it ("it is being sent at this moment"), and once its partner is paused, or the
loan's day is over, it is withdrawn as never sent, its review with it, for a new attempt. The same
words on the statement put it in doubt (audit 51).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.ask import due_to_ask
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import take_back_unsent
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan
from loans.eligibility import Refusal
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(minutes=5)


def told_by_a_stranger(**columns: object) -> DisbursementRequest:
    attempt = make_attempt(
        make_loan(status=LoanStatus.PROCESSING),
        status=AttemptStatus.SUBMITTING,
        send_count=1,
        first_sent_at=AGO,
        last_sent_at=AGO,
        resend_at=timezone.now() + timedelta(minutes=5),
        **columns,
    )
    body = success(attempt)
    kept = letter(ask(attempt), CallbackKind.PAYMENT_RESULT, body, is_quarantined=True)
    apply_callback(kept.pk)
    return attempt


def test_what_may_be_paid_is_not_taken_back() -> None:
    attempt = told_by_a_stranger(sends_in_doubt=0)

    paused = Refusal(hold=HoldReason.PARTNER_PAUSED)
    take_back_unsent(attempt.partner, now=timezone.now(), gate=paused)

    loan = LoanTracking.objects.get()
    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
    assert loan.status == LoanStatus.PROCESSING
    assert loan.review_reason == ReviewReason.FAILURE_UNCONFIRMED


@pytest.mark.parametrize("sends_in_doubt", [0, 1])
def test_m_pesa_is_asked_about_it_at_once(sends_in_doubt: int) -> None:
    attempt = told_by_a_stranger(sends_in_doubt=sends_in_doubt)

    assert due_to_ask(attempt.partner, now=timezone.now()) == [attempt.pk]
