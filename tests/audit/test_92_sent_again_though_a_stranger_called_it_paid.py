"""AUDIT 92: a letter from an unlisted address called an attempt paid, and its id is sent once more.

That is kept from being sent again by the loan's review alone. Two people who settle ANOTHER attempt
of the loan end that review; the doubt of this one stands in the trail only, and there it forbids a
failure (audit 71), but no send. Two "not found" later the same id leaves again (audit 75 was about
the same words from M-Pesa itself, or from its statement).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.ask import call_people
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import due_again, send_again
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind
from mpesa.shortcodes import reset_breaker
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people, whole
from tests.audit.test_75_sent_again_though_a_success_was_spoken_of import NOT_FOUND

pytestmark = pytest.mark.django_db


def test_what_a_stranger_called_paid_is_not_sent_again() -> None:
    now = timezone.now()
    sent_at = now - timedelta(hours=2)
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=sent_at)
    times = {"first_sent_at": sent_at, "last_sent_at": sent_at}
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, sends_in_doubt=1, **times)
    apply_verdict(first.pk, LATE, now=now)
    body = success(second, TransactionReceipt="SGH7K2M9QE")
    kept = letter(ask(second), CallbackKind.PAYMENT_RESULT, body, is_quarantined=True)
    apply_callback(kept.pk)
    reset_breaker("sandbox", "600000")  # a person has looked
    settle_by_people(first, "not-paid")  # true: attempt 1 is not on the statement
    for minutes in (30, 10):
        asked_at = now - timedelta(minutes=minutes)
        apply_verdict(second.pk, NOT_FOUND, asked_at=asked_at, now=timezone.now())

    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    shop = make_shop(whole(partner), mifos, mpesa)
    for pk in due_again(shop.partner, now=timezone.now()):
        send_again(pk, shop)

    assert mpesa.orders == []
    assert DisbursementRequest.objects.get(pk=second.pk).status == AttemptStatus.UNKNOWN
    # And it is not forgotten.
    call_people(partner, now=now + timedelta(days=1))
    assert LoanTracking.objects.get().review_reason == ReviewReason.OUTCOME_UNKNOWN
