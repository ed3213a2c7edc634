"""AUDIT 196: a lender leaves with a payment that Mifos X has not recorded, and nobody is told.

The lender is switched off, and its Mifos X takes our password away. What is paid (a record waited
for the checker) is tried for ever, as it should be, and each time "Mifos X could not be reached".
No review says so: refused logins are told by the polls, and this lender is polled no more. The loan
is "being processed" for months.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements import serve
from disbursements.models import AttemptStatus, TriggeredBy
from disbursements.serve import Orders, process_for
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMifos
from loans.models import LoanStatus, LoanTracking, ReviewReason
from mifos.client import MifosCredentials
from partners.gateways import NotConfigured
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own


def review_after(monkeypatch: pytest.MonkeyPatch, *, paid_for: timedelta, removed: bool) -> str:
    partner = make_partner(is_active=False, is_mpesa_configured=False)
    loan = make_loan(partner, status=LoanStatus.PROCESSING, mpesa_receipt_number="SGH7K2M9QD")
    at = timezone.now() - paid_for
    times = {"first_sent_at": at, "last_sent_at": at, "paid_at": at}
    make_attempt(loan, status=AttemptStatus.PAID, next_record_at=at, **times)
    mifos = FakeMifos()
    mifos.loans[loan.loan_id] = MifosCredentials("Mifos X does not accept the user name")

    def client(_: Any) -> FakeMifos:
        if removed:
            raise NotConfigured("The Mifos X settings are incomplete")
        return mifos

    monkeypatch.setattr(serve, "mifos_client", client)
    process_for(
        whole(partner), Orders(triggered_by=TriggeredBy.SCHEDULE, started_at=timezone.now())
    )
    return LoanTracking.objects.get().review_reason


@pytest.mark.parametrize("removed", [False, True])
def test_after_a_day_a_person_is_called(monkeypatch: pytest.MonkeyPatch, *, removed: bool) -> None:
    review = review_after(monkeypatch, paid_for=timedelta(days=2), removed=removed)

    assert review == ReviewReason.PAID_NOT_RECORDED


def test_nobody_is_called_within_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    assert review_after(monkeypatch, paid_for=timedelta(hours=2), removed=False) == ""
