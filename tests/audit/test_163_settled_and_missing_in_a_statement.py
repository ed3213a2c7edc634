"""AUDIT 163: what people settled is accused of missing in a statement that need not hold it.

M-Pesa did not say when it paid, so a settled payment is dated by its send (audit 132), which the
comparison takes for M-Pesa's own word. Sent two minutes before midnight and paid two minutes after
it, the payment is in the next day's statement; of the first day's, staff read "recorded in Mifos X,
and the statement lacks it", and undo a disbursement of which the client has the money.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from disbursements.models import DisbursementRequest
from disbursements.reconcile.cases import paid_in
from disbursements.reconcile.mpesa_book import compare_with_statement
from disbursements.reconcile.window import Window
from disbursements.statement import Statement
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.eligibility import start_of_day
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
DAY = timezone.localdate() - timedelta(days=3)
MIDNIGHT = start_of_day(DAY + timedelta(days=1))


def missing_on_the_day(*, sent_at: datetime) -> list[str]:
    """Return what a statement of DAY without any row lacks of a payment that people settled."""
    loan = make_loan(make_partner(), status=LoanStatus.PROCESSING)
    attempt = make_attempt(loan, status="unknown", first_sent_at=sent_at, last_sent_at=sent_at)
    settle_by_people(attempt, "paid", "SGH7K2M9QD")
    stored = DisbursementRequest.objects.get(pk=attempt.pk)
    window = Window(first=DAY, last=DAY)
    found = compare_with_statement(
        Statement(name="umoja.csv", sha256=""),
        window,
        shortcode=stored.mpesa_shortcode,
        partners=[stored.partner],
        paid=paid_in(window, [stored.partner]),
        now=timezone.now(),
    )
    return [str(each.kind) for each in found.differences]


def test_the_next_days_statement_may_hold_it() -> None:
    assert missing_on_the_day(sent_at=MIDNIGHT - timedelta(minutes=2)) == []
