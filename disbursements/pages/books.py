"""The three books side by side: what Loan Poll, M-Pesa and Mifos X say of one loan. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.tags import attempt_tag, status_tag
from disbursements.pages.wording import masked_phone, money
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason

UNKNOWN = "not known yet"
NONE = "none"
# Reviews that exist because two books do not say the same.
DIFFERING = {
    ReviewReason.UNDONE_AFTER_PAYMENT,
    ReviewReason.DOUBLE_PAYMENT,
    ReviewReason.BOOKS_DIFFER,
    ReviewReason.PAID_NOT_RECORDED,
    ReviewReason.CHECKER_REJECTED,
    ReviewReason.MIFOS_CHANGED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One fact in each book. `agrees` is None where there is nothing to compare yet."""

    label: str
    ours: str
    mpesa: str
    mifos: str
    agrees: bool | None

    @property
    def verdict(self) -> str:
        return {True: "same", False: "differs", None: "–"}[self.agrees]


def three_books(loan: LoanTracking, attempt: DisbursementRequest | None) -> list[Line]:
    """Return the facts we hold of each book; what differs comes first."""
    lines = [
        _state(loan, attempt),
        _amount(loan, attempt),
        _principal(loan, attempt),
        _phone(loan, attempt),
        _receipt(loan, attempt),
        _date(loan, attempt),
    ]
    return sorted(lines, key=lambda line: line.agrees is not False)


def _state(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    return Line(
        label="State",
        ours=status_tag(loan).text,
        mpesa=_mpesa_state(attempt),
        mifos=_mifos_state(loan, attempt),
        agrees=_states_agree(loan, attempt),
    )


def _mpesa_state(attempt: DisbursementRequest | None) -> str:
    if attempt is None:
        return "never asked"
    if attempt.status in {AttemptStatus.PAID, AttemptStatus.COMPLETED}:
        return "paid"
    said = f", code {attempt.result_code}" if attempt.result_code else ""
    return f"{attempt_tag(attempt.status).text.lower()}{said}"


def _mifos_state(loan: LoanTracking, attempt: DisbursementRequest | None) -> str:
    if attempt and attempt.status == AttemptStatus.COMPLETED:
        return "undone" if loan.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT else "disbursed"
    if loan.status == LoanStatus.CANCELLED:
        is_told = loan.approval_cause != HoldReason.REOPENED  # else people took it off our list
        return "no longer waiting" if is_told else UNKNOWN
    return "approved, waiting"


def _states_agree(loan: LoanTracking, attempt: DisbursementRequest | None) -> bool | None:
    if loan.review_reason in DIFFERING:
        return False
    return True if attempt and attempt.status == AttemptStatus.COMPLETED else None


def _amount(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    ours = loan.net_disbursal_amount
    return Line(
        label="To the client",
        ours=money(attempt.amount if attempt else ours, loan.currency),
        mpesa=money(attempt.amount, attempt.currency) if attempt and attempt.send_count else NONE,
        mifos=money(ours, loan.currency),
        agrees=attempt.amount == ours if attempt and ours is not None else None,
    )


def _principal(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    return Line(
        label="Principal",
        ours=money(attempt.principal if attempt else loan.loan_amount, loan.currency),
        mpesa="does not apply",
        mifos=money(loan.loan_amount, loan.currency),
        agrees=attempt.principal == loan.loan_amount if attempt else None,
    )


def _phone(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    return Line(
        label="Phone",
        ours=masked_phone(attempt.msisdn if attempt else loan.phone_number),
        mpesa=masked_phone(attempt.msisdn) if attempt and attempt.send_count else NONE,
        mifos=masked_phone(loan.phone_number),
        agrees=attempt.msisdn == loan.phone_number if attempt else None,
    )


def _receipt(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    paid = attempt.transaction_receipt if attempt else ""
    recorded = paid if attempt and attempt.status == AttemptStatus.COMPLETED else ""
    ours = loan.mpesa_receipt_number
    return Line(
        label="Receipt",
        ours=ours or NONE,
        mpesa=paid or NONE,
        mifos=recorded or NONE,
        agrees=ours == paid == recorded if paid else None,
    )


def _date(loan: LoanTracking, attempt: DisbursementRequest | None) -> Line:
    expected = loan.expected_disbursement_date
    recorded = attempt.record_date if attempt else None
    moved_at = attempt.money_moved_at if attempt else None
    return Line(
        label="Date",
        ours=_when(attempt.paid_at) if attempt and attempt.paid_at else NONE,
        mpesa=_when(moved_at) if moved_at else UNKNOWN,
        mifos=_mifos_date(recorded, expected),
        agrees=timezone.localtime(moved_at).date() == recorded if moved_at and recorded else None,
    )


def _mifos_date(recorded: date | None, expected: date | None) -> str:
    if recorded:
        return f"{recorded:%d %b %Y}"
    return f"expected {expected:%d %b %Y}" if expected else NONE


def _when(at: datetime) -> str:
    return f"{timezone.localtime(at):%d %b %Y %H:%M:%S}"
