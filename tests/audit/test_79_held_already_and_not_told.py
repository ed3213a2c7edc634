"""AUDIT 79: the statement shows a held loan as paid, nobody is told, and its release pays it again.

Somebody holds a loan and pays it in M-Pesa's portal. The comparison finds the row that fits it, and
would hold the loan for a person; it is held already, so nothing is written at all (audit 61 took
away the review that stopped it before). Whoever releases it later knows nothing of the row, and the
next pass pays the borrower a second time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.statement import read_statement
from disbursements.tests.books import WAITING, BookOfMifos, StatementFile, found_loan
from disbursements.tests.making import make_partner, make_product
from loans.holding import hold_loan
from loans.models import LoanTracking
from tests.audit.test_61_called_to_a_loan_that_nobody_can_let_go import compare

pytestmark = pytest.mark.django_db


def test_whoever_releases_it_is_told_what_the_statement_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    umoja = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(umoja)
    loan = found_loan(umoja)
    hold_loan(loan.pk, actor="wanjiru", reason="the client asks for it now", now=timezone.now())
    mifos = BookOfMifos()
    mifos.holds(loan, WAITING)
    file = StatementFile()
    party = f"{loan.phone_number} - JANE WANJIKU"
    file.row("SGX0000009", amount=loan.net_disbursal_amount, party=party)
    for _ in range(2):  # and the day after; it is said once
        read = read_statement(file.write(tmp_path))
        compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    loan = LoanTracking.objects.get()
    assert "SGX0000009" in loan.staff_hold  # what the page shows that releases it
    assert "wanjiru" in loan.staff_hold
    assert loan.events.filter(reason__contains="SGX0000009").count() == 1
