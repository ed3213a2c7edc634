"""AUDIT 75: M-Pesa or its statement said "paid" of an open attempt, and its id is sent once more.

"A success once spoken of is never forgotten: it forbids every failure." It does not forbid the next
send: that is kept by the loan's review alone, and two people who settle ANOTHER attempt of the loan
end that review. Two "not found" later the same id is sent again (design.md 4.6).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict, heed_statement
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import due_again, send_again
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus
from mpesa.shortcodes import reset_breaker
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people, whole

pytestmark = pytest.mark.django_db
NOT_FOUND = Verdict(proof=Proof.NOT_FOUND, reason="M-Pesa does not know it", code="2033")


@pytest.mark.parametrize("who", ["M-Pesa", "the statement"])
def test_what_was_said_to_be_paid_is_not_sent_again(who: str) -> None:
    now = timezone.now()
    sent_at = now - timedelta(hours=2)
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040", failed_at=sent_at)
    times = {"first_sent_at": sent_at, "last_sent_at": sent_at}
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, sends_in_doubt=1, **times)
    apply_verdict(first.pk, LATE, now=now)
    if who == "M-Pesa":
        vague = Verdict(proof=Proof.UNPROVEN, reason="paid, without its receipt", code="0")
        apply_verdict(second.pk, vague, now=now)
    else:
        heed_statement(second.pk, receipt="SGX0000001", reason="The statement has it", now=now)
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
