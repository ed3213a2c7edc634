"""AUDIT 10: M-Pesa's own words may name a phone number; they go into events as such."""

from __future__ import annotations

import pytest

from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus, LoanTracking
from mpesa.models import CallbackKind, MpesaCallback

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("shape", ["254{}", "0{}", "+254{}", "{}"])
def test_no_event_and_no_message_holds_a_whole_phone_number(shape):
    loan = make_loan(status=LoanStatus.PROCESSING, phone_number="254712345678")
    attempt = make_attempt(loan)
    said = failure(attempt, "2040", f"Credit Party {shape.format('712345678')} is not registered")

    apply_callback(letter(ask(attempt), CallbackKind.PAYMENT_RESULT, said).pk)

    loan = LoanTracking.objects.get(pk=loan.pk)
    attempt.refresh_from_db()
    texts = [event.reason for event in LoanEvent.objects.all()]
    texts += [loan.error_message, attempt.result_description, MpesaCallback.objects.get().outcome]
    assert not [text for text in texts if "712345678" in text]
