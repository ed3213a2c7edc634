"""AUDIT 61: the comparison of the books calls a person to a loan for which nothing was ever sent.

Two people can end a review only of an attempt, and this loan has none: no button, no command and no
pass ends it. A pending one is never paid, a cancelled one stays in the work queue for ever. (Audit
31, A3, was about the same for what the re-read finds.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from disbursements.pages.actions import possible_actions
from disbursements.pages.cases import read_cases
from disbursements.reconcile import run as running
from disbursements.reconcile.run import Order, reconcile
from disbursements.reconcile.window import Window
from disbursements.statement import read_statement
from disbursements.tests.books import (
    ACTIVE,
    WAITING,
    BookOfMifos,
    StatementFile,
    by_hand,
    found_loan,
)
from disbursements.tests.making import make_partner, make_product
from loans.models import LoanStatus, LoanTracking
from loans.refresh import cancel
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def umoja() -> Partner:
    partner = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(partner)
    return partner


def compare(
    partner: Partner, mifos: BookOfMifos, monkeypatch: pytest.MonkeyPatch, **statement: Any
) -> None:
    monkeypatch.setattr(running, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(
        running, "overlap", lambda work, items, workers: [work(item) for item in items]
    )
    today = timezone.localdate()
    order = Order(partners=(partner,), window=Window(first=today, last=today), **statement)
    reconcile(order, now=timezone.now())


def ways_to_end(loan: LoanTracking) -> set[str]:
    [case] = read_cases([LoanTracking.objects.get(pk=loan.pk)], "otieno")
    ways = {one.name for one in possible_actions(case) if not one.why_not}
    return ways & {"resolve", "release"}


def test_a_pending_loan_that_a_statement_row_fits(
    umoja: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loan = found_loan(umoja)
    mifos = BookOfMifos()
    mifos.holds(loan, WAITING)
    file = StatementFile()  # somebody paid the same sum to this number in the portal
    party = f"{loan.phone_number} - JANE WANJIKU"
    file.row("SGX0000009", amount=loan.net_disbursal_amount, party=party)
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    loan.refresh_from_db()
    assert loan.review_reason or loan.staff_hold  # it is not paid before somebody has looked
    assert ways_to_end(loan)


def test_a_cancelled_loan_that_was_disbursed_under_an_id_like_ours(
    umoja: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = found_loan(umoja)
    mifos = BookOfMifos()
    mifos.holds(loan, ACTIVE, by_hand(external_id="loanpoll-of-another-installation"))
    cancel(loan.pk, mifos.loans[loan.loan_id], now=timezone.now())

    compare(umoja, mifos, monkeypatch)

    loan.refresh_from_db()
    assert loan.status == LoanStatus.CANCELLED
    assert not loan.review_reason or ways_to_end(loan)
    assert loan.events.filter(reason__contains="an id of Loan Poll's").exists()
