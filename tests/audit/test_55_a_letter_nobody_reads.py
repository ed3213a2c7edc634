"""AUDIT 55: a kept letter is read by a partner's pass, found by the shortcode he pays from now.

The process died before it read "paid" about an attempt that was closed as failed. The shortcode may
be changed then, and the partner switched off, for no attempt is open: nobody ever reads the letter,
and nobody is kept from paying the loan again.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus, TriggeredBy
from disbursements.passes import run_process
from disbursements.retry import retry_refusal
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking
from mpesa.models import CallbackKind, MpesaCallback
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own


@pytest.mark.parametrize("change", [{"mpesa_shortcode": "600001"}, {"is_active": False}])
def test_a_letter_that_was_kept_is_read_whatever_was_changed_since(change: dict[str, object]):
    partner = make_partner(is_mpesa_configured=False)
    loan = make_loan(partner, status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1")
    letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt))  # its reader died
    MpesaCallback.objects.update(received_at=timezone.now() - timedelta(hours=1))
    partner = Partner.objects.get()
    for name, value in change.items():
        setattr(partner, name, value)
    partner.full_clean()
    partner.save()

    run_process(triggered_by=TriggeredBy.SCHEDULE)

    assert not MpesaCallback.objects.filter(applied_at=None).exists()
    assert retry_refusal(LoanTracking.objects.get()) != ""
    assert LoanTracking.objects.get().review_reason
