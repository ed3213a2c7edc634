"""AUDIT 143: of a loan that two people called paid, the page says that the client was not paid.

The failed attempt was paid after all. The loan's page then says "left the waiting list before Loan
Poll sent anything", "nothing was sent", or, once a later attempt has failed, "it is proven that no
money moved. The client has not been paid": whoever answers the phone pays him by hand.
"""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.listing import VIEW_LOANS
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.test_pages_actions import make_user
from disbursements.verdicts import Proof, Verdict
from loans.models import HoldReason, LoanStatus, LoanTracking
from loans.refresh import reopen
from tests.audit.test_31_mends_of_the_first import LATE, decided, settle_by_people

pytestmark = pytest.mark.django_db
UNPAID = (
    "before Loan Poll sent anything",
    "Nothing was sent",
    "has not been paid",
    "No money moved",
)


@pytest.fixture
def loan() -> LoanTracking:
    partner = make_partner()
    make_product(partner)
    return make_loan(partner, status=LoanStatus.FAILED)


def failed_attempt(loan: LoanTracking) -> DisbursementRequest:
    return make_attempt(
        loan, status=AttemptStatus.FAILED, result_code="1", failed_at=timezone.now()
    )


def pay_after_all(first: DisbursementRequest) -> None:
    apply_verdict(first.pk, LATE, now=timezone.now())
    settle_by_people(first, "paid", "SGH7K2M9QD")


def check_the_page(client: Client, loan: LoanTracking) -> None:
    client.force_login(make_user("ann.k", VIEW_LOANS))
    html = client.get(f"/loan-tracking/{loan.pk}").content.decode()
    assert not [words for words in UNPAID if words in html]
    assert "may have the money" in html


def test_the_loan_that_two_people_called_paid(client: Client, loan: LoanTracking) -> None:
    pay_after_all(failed_attempt(loan))
    loan.refresh_from_db()
    assert loan.status == LoanStatus.CANCELLED

    check_the_page(client, loan)


def test_when_it_waits_in_mifos_x_again(client: Client, loan: LoanTracking) -> None:
    pay_after_all(failed_attempt(loan))
    loan.refresh_from_db()
    reopen(loan.pk, {}, now=timezone.now())
    loan = decided(loan)
    assert loan.hold_reason == HoldReason.REOPENED

    check_the_page(client, loan)


def test_when_a_later_attempt_has_failed(client: Client, loan: LoanTracking) -> None:
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.PROCESSING)
    first = failed_attempt(loan)
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, result_code="1")
    pay_after_all(first)
    dead = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")
    apply_verdict(second.pk, dead, asked_at=timezone.now(), now=timezone.now())
    loan.refresh_from_db()
    assert (loan.status, loan.review_reason) == (LoanStatus.FAILED, "")

    check_the_page(client, loan)
