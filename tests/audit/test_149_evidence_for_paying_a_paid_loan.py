"""AUDIT 149: the page that asks whether to pay again proves that no money moved, of a paid loan.

Attempt 1 was paid after all: two people said so. Attempt 2 has failed. "Pay again", and then
"Approve", show attempt 2 alone, with its proof, and not a word of the payment that was made. A loan
that is held because the statement shows it as paid is called one of which "nothing was sent".
"""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from disbursements.claiming import call_person
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus
from disbursements.pages.actions import APPROVE, RETRY
from disbursements.pages.listing import VIEW_LOANS
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.test_pages_actions import make_user
from disbursements.verdicts import Proof, Verdict
from loans.audit import lock_loan
from loans.models import LoanStatus, LoanTracking
from tests.audit.test_31_mends_of_the_first import LATE, decided, settle_by_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def loan() -> LoanTracking:
    """A loan whose first attempt was paid after all, and whose second one has failed."""
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    now = timezone.now()
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=now)
    second = make_attempt(loan, status=AttemptStatus.UNKNOWN, result_code="1")
    apply_verdict(first.pk, LATE, now=timezone.now())
    settle_by_people(first, "paid", "SGH7K2M9QD")
    dead = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")
    apply_verdict(second.pk, dead, asked_at=timezone.now(), now=timezone.now())
    return LoanTracking.objects.get()


def test_whoever_pays_again_is_told(client: Client, loan: LoanTracking) -> None:
    client.force_login(make_user("ann.k", RETRY))

    html = client.get(f"/loan-tracking/{loan.pk}/retry").content.decode()

    assert "may have the money" in html


def test_whoever_approves_it_is_told(client: Client, loan: LoanTracking) -> None:
    LoanTracking.objects.update(status=LoanStatus.PENDING)
    decided(loan)
    client.force_login(make_user("ann.k", APPROVE))

    html = client.get(f"/loan-tracking/{loan.pk}/approve").content.decode()

    assert "may have the money" in html


def test_a_loan_held_because_the_statement_shows_it_as_paid(client: Client) -> None:
    loan = make_loan()
    paid = "The statement shows receipt SGH7K2M9QD with the phone and amount of this loan"
    with transaction.atomic():
        call_person(lock_loan(loan.pk), paid, now=timezone.now())
    client.force_login(make_user("ann.k", VIEW_LOANS))

    html = client.get(f"/loan-tracking/{loan.pk}").content.decode()

    assert "Nothing was sent." not in html
    assert "Do not pay by hand" in html
