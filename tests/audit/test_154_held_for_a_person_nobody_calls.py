"""AUDIT 154: the system holds a loan "for a person", and no person is called.

A loan without attempts cannot be reviewed, so it is held instead (docs/decisions/0006): the
statement shows it as paid, or Mifos X as disbursed. It is in no work queue and no alert speaks of
it: among all that staff hold themselves it waits for ever, and the borrower with it.
"""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from disbursements.alerts.conditions import review_standing
from disbursements.claiming import call_person
from disbursements.pages.listing import VIEW_LOANS
from disbursements.tests.making import make_loan
from disbursements.tests.test_pages_actions import make_user
from loans.audit import lock_loan
from loans.models import LoanTracking

pytestmark = pytest.mark.django_db


@pytest.fixture
def loan() -> LoanTracking:
    made = make_loan(client_name="Achieng Mary")
    with transaction.atomic():
        call_person(lock_loan(made.pk), "Mifos X shows it as disbursed", now=timezone.now())
    return made


def test_it_is_in_the_work_queue(client: Client, loan: LoanTracking) -> None:
    client.force_login(make_user("ann.k", VIEW_LOANS))

    html = client.get("/loan-tracking?status=needs_review,needs_approval").content.decode()

    assert loan.client_name in html


def test_an_alert_speaks_of_it(loan: LoanTracking) -> None:
    assert loan.loan_id in {each.loan_id for each in review_standing(timezone.now())}
