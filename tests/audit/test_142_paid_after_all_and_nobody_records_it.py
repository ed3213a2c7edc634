"""AUDIT 142: two people say that a failed attempt was paid, and read that Mifos X will be told.

It never is: a failed attempt stays failed, and a person records the payment in Mifos X by hand
(docs/decisions/0006). Told the opposite, nobody does, the loan waits there as unpaid, and the
next person who looks disburses it again.
"""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.pages.actions import RESOLVE
from disbursements.resolve import propose
from disbursements.tests.making import make_attempt, make_loan
from disbursements.tests.test_pages_actions import make_user
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db
RECEIPT = "SGH7K2M9QD"


@pytest.fixture
def failed() -> DisbursementRequest:
    loan = make_loan(status=LoanStatus.FAILED)
    made = make_attempt(
        loan, status=AttemptStatus.FAILED, result_code="1", failed_at=timezone.now()
    )
    apply_verdict(made.pk, LATE, now=timezone.now())
    return made


def test_the_pages_say_who_records_it(client: Client, failed: DisbursementRequest) -> None:
    propose(
        failed.pk,
        outcome=ResolutionOutcome.PAID,
        receipt=RECEIPT,
        reason="on the statement",
        by=make_user("otieno", RESOLVE),
        now=timezone.now(),
    )
    client.force_login(make_user("ann.k", RESOLVE))
    page = f"/loan-tracking/{failed.loan_tracking_id}/confirm"
    asked = client.get(page).content.decode()
    ticket = re.search(r'name="ticket" value="([^"]+)"', asked)
    assert ticket

    told = client.post(page, {"reason": "seen", "ticket": ticket[1]}, follow=True).content.decode()

    for html in (asked, told):
        assert "Mifos X is told" not in html
        assert "in Mifos X by hand" in html


def test_the_command_says_who_records_it(failed: DisbursementRequest) -> None:
    make_user("otieno", RESOLVE)
    make_user("ann.k", RESOLVE)
    said = io.StringIO()

    call_command(
        "resolve_review",
        failed.loan_tracking_id,
        outcome="paid",
        receipt=RECEIPT,
        actor="otieno",
        second_actor="ann.k",
        reason="on the statement",
        stdout=said,
    )

    assert "in Mifos X by hand" in said.getvalue()
