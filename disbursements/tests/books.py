"""Makes the three books for tests: loans paid by the product itself, a Mifos X, a statement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from disbursements.claiming import Claim, Terms, claim
from disbursements.models import DisbursementRequest, TriggeredBy
from disbursements.moves import locked_attempt
from disbursements.outcomes import mark_paid
from disbursements.sending import note_answer
from disbursements.shown import complete
from disbursements.tests.making import make_loan, make_receipt
from disbursements.verdicts import Proof, Verdict
from loans.audit import EventDraft, note_on_loan
from loans.models import LoanStatus, LoanTracking
from mifos.client import Disbursal, LoanDetail, MifosError, MifosNotFound
from mpesa.client import Accepted
from partners.models import Partner

WAITING, ACTIVE = 200, 300
HEADER = (
    *("Receipt No.", "Completion Time", "Initiation Time", "Details", "Transaction Status"),
    *("Paid In", "Withdrawn", "Balance", "Balance Confirmed", "Reason Type"),
    *("Other Party Info", "Linked Transaction ID", "A/C No."),
)


def found_loan(partner: Partner, **columns: Any) -> LoanTracking:
    """A loan as the fetch leaves it: a row and its first event."""
    loan = make_loan(partner, **columns)
    with transaction.atomic():
        draft = EventDraft(
            from_status="",
            to_status=LoanStatus.PENDING,
            actor="system",
            reason="Found approved in Mifos X",
            at=timezone.now(),
            details={"principal": str(loan.loan_amount), "hold": ""},
        )
        note_on_loan(loan, drafts=[draft])
    return loan


def sent_attempt(partner: Partner, **columns: Any) -> DisbursementRequest:
    """A payment that M-Pesa took, and whose result is not here yet."""
    loan, now = found_loan(partner, **columns), timezone.now()
    claimed = claim(
        loan.pk,
        seen=loan.partner,
        terms=Terms.of(loan),
        today=timezone.localdate(now),
        triggered_by=TriggeredBy.SCHEDULE,
        now=now,
    )
    assert isinstance(claimed, Claim), claimed
    reference = claimed.attempt.originator_conversation_id
    answer = Accepted(
        originator_conversation_id=reference, conversation_id=f"AG_{loan.pk}", description=""
    )
    note_answer(claimed.attempt, answer, now=now)
    return fresh(claimed.attempt)


def paid_attempt(partner: Partner, **columns: Any) -> DisbursementRequest:
    """A payment that M-Pesa proved; Mifos X does not know of it yet."""
    sent, now = sent_attempt(partner, **columns), timezone.now()
    verdict = Verdict(
        proof=Proof.PAID, reason="M-Pesa paid it", receipt=make_receipt(), completed_at=now
    )
    with locked_attempt(sent.pk) as (attempt, loan):
        mark_paid(attempt, loan, verdict, actor="M-Pesa", now=now)
    return fresh(sent)


def completed_attempt(partner: Partner, **columns: Any) -> DisbursementRequest:
    """A payment that is recorded and verified in Mifos X."""
    attempt = paid_attempt(partner, **columns)
    assert complete(attempt, disbursal_of(attempt))
    return fresh(attempt)


def fresh(attempt: DisbursementRequest) -> DisbursementRequest:
    return DisbursementRequest.objects.select_related("loan_tracking", "partner").get(pk=attempt.pk)


def disbursal_of(attempt: DisbursementRequest, **changes: Any) -> Disbursal:
    """The disbursement of this attempt in Mifos X, as recording leaves it."""
    disbursal = Disbursal(
        transaction_id=attempt.pk,
        amount=attempt.principal,
        date=timezone.localdate(attempt.paid_at),
        is_reversed=False,
        external_id=attempt.mifos_external_id,
        receipt_number=attempt.transaction_receipt,
        account_number=attempt.msisdn,
    )
    return replace(disbursal, **changes)


def by_hand(**changes: Any) -> Disbursal:
    """A disbursement that somebody typed into Mifos X."""
    disbursal = Disbursal(
        transaction_id=999_000,
        amount=Decimal(12_500),
        date=date(2026, 11, 22),
        is_reversed=False,
        external_id="",
        receipt_number="CASH 17",
        account_number="",
    )
    return replace(disbursal, **changes)


def detail_of(loan: LoanTracking, status_id: int, *disbursals: Disbursal) -> LoanDetail:
    return LoanDetail(
        loan_id=loan.loan_id,
        account_number=loan.account_number,
        external_id="",
        status_id=status_id,
        client_id=loan.client_id,
        client_name=loan.client_name,
        office_id=1,
        product_id=loan.product_id,
        product_name=loan.product_name,
        principal=loan.loan_amount,
        approved_principal=loan.loan_amount,
        net_disbursal_amount=loan.net_disbursal_amount,
        currency="KES",
        submitted_on=None,
        approved_on=loan.approved_on,
        expected_disbursement_date=None,
        actual_disbursement_date=None,
        loan_type_id=1,
        is_top_up=False,
        is_multi_disburse=False,
        has_down_payment=False,
        is_charged_off=False,
        is_fraud=False,
        linked_savings_id=None,
        tranche_count=0,
        disbursals=disbursals,
        first_repayment_date=None,
        has_account_transfer_charge=False,
    )


@dataclass
class BookOfMifos:
    """A Mifos X that answers from memory. It can be asked and cannot be told anything."""

    loans: dict[int, LoanDetail] = field(default_factory=dict)
    failure: MifosError | None = None
    asked: list[int] = field(default_factory=list)

    def holds(self, loan: LoanTracking, status_id: int, *disbursals: Disbursal) -> None:
        self.loans[loan.loan_id] = detail_of(loan, status_id, *disbursals)

    def records(self, attempt: DisbursementRequest, **changes: Any) -> None:
        """Show this attempt as disbursed, with changes."""
        self.holds(attempt.loan_tracking, ACTIVE, disbursal_of(attempt, **changes))

    def approved_loans(self) -> Iterator[list[LoanDetail]]:
        if self.failure is not None:
            raise self.failure
        yield [loan for loan in self.loans.values() if loan.waiting_for_disbursal]

    def loan(self, loan_id: int) -> LoanDetail:
        self.asked.append(loan_id)
        if self.failure is not None:
            raise self.failure
        if loan_id not in self.loans:
            raise MifosNotFound(f"Loan {loan_id} does not exist")
        return self.loans[loan_id]


@dataclass
class StatementFile:
    """An M-PESA statement under construction."""

    shortcode: str = "600111"
    rows: list[list[str]] = field(default_factory=list)

    def pays(self, attempt: DisbursementRequest, **changes: Any) -> None:
        """Add the payment of this attempt and its charge."""
        receipt = changes.pop("receipt", attempt.transaction_receipt)
        changes.setdefault("amount", attempt.amount)
        changes.setdefault("party", f"{attempt.msisdn} - JANE WANJIKU")
        self.row(receipt, **changes)
        self.row(receipt, amount=9, reason="Business Payment Charge", party="", charge=True)

    def row(
        self,
        receipt: str,
        *,
        amount: Decimal | int = 0,
        paid_in: Decimal | int | str = "",
        party: str = "",
        reason: str = "Business Payment to Customer via API",
        status: str = "Completed",
        linked: str = "",
        at: datetime | None = None,
        charge: bool = False,
    ) -> None:
        when = timezone.localtime(at or timezone.now()).strftime("%d-%m-%Y %H:%M:%S")
        withdrawn = f"-{amount:,.2f}" if amount else ""
        details = "Pay merchant charge" if charge else f"{reason} to {party}"
        cells = (receipt, when, when, details, status, str(paid_in), withdrawn, "1,000.00")
        self.rows.append([*cells, "true", reason, party, linked, ""])

    def text(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["Organization Statement"])
        writer.writerow(["Short Code:", self.shortcode, "Organization:", "Umoja Sacco"])
        writer.writerow([])
        writer.writerow(HEADER)
        writer.writerows(self.rows)
        return out.getvalue()

    def write(self, folder: Path) -> Path:
        path = folder / "umoja.csv"
        path.write_text("\ufeff" + self.text(), encoding="utf-8")
        return path
