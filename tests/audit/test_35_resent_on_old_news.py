"""AUDIT 35: a resend relies on what was read, and on the time it was, before the loan was locked.

A question that is asked between the two leaves before the new send, and is dated after it: its
"Cancelled" of the old send then proves the new one dead, and the loan is paid under a new id, too.
A partner that has switched resending off meanwhile is not heard.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from disbursements import resend
from disbursements.ask import ask_one
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import send_again
from disbursements.settle import apply_callback
from disbursements.shop import Shop
from disbursements.tests.letters import letter, status_answer
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanStatus
from mpesa.models import CallbackKind, MpesaRequest, RequestKind
from partners.models import Partner

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = timedelta(hours=1)


def twice_not_found() -> tuple[DisbursementRequest, Shop, FakeMpesa]:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.UNKNOWN,
        sends_in_doubt=1,
        first_sent_at=NOW - 3 * HOUR,
        last_sent_at=NOW - 3 * HOUR,
        first_not_found_at=NOW - 2 * HOUR,
        last_not_found_at=NOW - HOUR,
        next_query_at=NOW - HOUR,
    )
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    return attempt, make_shop(partner, mifos, mpesa), mpesa


def test_a_question_asked_while_the_resend_waits_for_its_lock_does_not_fail_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempt, shop, mpesa = twice_not_found()

    class AnotherIsFirst:
        """Another pass has the lock, and asks."""

        def atomic(self, **options: Any) -> Any:
            like: Any = mpesa
            assert ask_one(attempt.pk, like)
            return transaction.atomic(**options)

    monkeypatch.setattr(resend, "transaction", AnotherIsFirst())
    send_again(attempt.pk, shop)
    assert len(mpesa.orders) == 1
    question = MpesaRequest.objects.get(kind=RequestKind.STATUS)
    answer = status_answer(attempt, "Cancelled")

    apply_callback(letter(question, CallbackKind.STATUS_RESULT, answer).pk)

    assert DisbursementRequest.objects.get().status == AttemptStatus.ACCEPTED


def test_a_partner_that_has_switched_resending_off_is_heard() -> None:
    attempt, shop, mpesa = twice_not_found()
    Partner.objects.update(resend_unknown=False)

    send_again(attempt.pk, shop)

    assert mpesa.orders == []
