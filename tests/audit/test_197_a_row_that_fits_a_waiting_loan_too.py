"""AUDIT 197: a client has two loans of the same amount, and the one that was paid by hand is paid
again.

"If it fits a waiting loan, that loan is not paid until a person looked." The first loan was paid by
us (or has failed); the second one waits for the float, and finance pays it from the M-PESA portal.
The statement's row fits both. It is told of the first one only, as a payment that came twice, and
while people look at that one, the next pass pays the second loan again.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import DisbursementRequest
from disbursements.process import due_loans
from disbursements.statement import read_statement
from disbursements.tests.books import (
    ACTIVE,
    WAITING,
    BookOfMifos,
    StatementFile,
    completed_attempt,
    disbursal_of,
    found_loan,
    sent_attempt,
)
from disbursements.tests.making import make_partner, make_product
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus, LoanTracking
from loans.refresh import cancel
from partners.models import Partner
from tests.audit.test_61_called_to_a_loan_that_nobody_can_let_go import compare

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
REJECTED = 500
DEAD = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")


@pytest.fixture
def umoja() -> Partner:
    partner = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(partner)
    return partner


def first_loan(umoja: Partner, mifos: BookOfMifos, *, is_paid: bool) -> DisbursementRequest:
    if is_paid:
        attempt = completed_attempt(umoja)
        mifos.holds(attempt.loan_tracking, ACTIVE, disbursal_of(attempt))
        return attempt
    attempt = sent_attempt(umoja)
    apply_verdict(attempt.pk, DEAD, now=timezone.now())
    mifos.holds(attempt.loan_tracking, WAITING)
    return attempt


@pytest.mark.parametrize("is_paid", [True, False])
@pytest.mark.parametrize("is_equal", [True, False])
def test_the_waiting_loan_waits_for_a_person_too(
    umoja: Partner,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    is_paid: bool,
    is_equal: bool,
) -> None:
    mifos = BookOfMifos()
    attempt = first_loan(umoja, mifos, is_paid=is_paid)
    loan = attempt.loan_tracking
    second = found_loan(
        umoja,
        client_id=loan.client_id,
        phone_number=loan.phone_number,
        loan_amount=attempt.amount if is_equal else Decimal(7_000),
    )
    mifos.holds(second, WAITING)
    file = StatementFile()
    if is_paid:
        file.pays(attempt)
    file.pays(attempt, receipt="SGX0000009")  # by hand, for the second loan
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    assert LoanTracking.objects.get(pk=loan.pk).review_reason  # as before
    assert due_loans(umoja, now=timezone.now()) == ([] if is_equal else [second.pk])


@pytest.mark.parametrize("first", [LoanStatus.CANCELLED, LoanStatus.PENDING])
def test_every_waiting_loan_that_it_fits_waits(
    umoja: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: LoanStatus
) -> None:
    """An officer rejects a loan and enters it anew: the row fits the rejected one first."""
    mifos = BookOfMifos()
    loan = found_loan(umoja)
    again = found_loan(umoja, client_id=loan.client_id, phone_number=loan.phone_number)
    mifos.holds(loan, WAITING if first == LoanStatus.PENDING else REJECTED)
    mifos.holds(again, WAITING)
    if first == LoanStatus.CANCELLED:
        cancel(loan.pk, mifos.loans[loan.loan_id], now=timezone.now())
    file = StatementFile()
    party = f"{loan.phone_number} - JANE WANJIKU"
    file.row("SGX0000009", amount=loan.net_disbursal_amount or 0, party=party)
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    assert due_loans(umoja, now=timezone.now()) == []
