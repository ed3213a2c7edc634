"""The closed list of ways in which the books can differ, each with its one next step."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from loans.models import LoanTracking, ReviewReason


class DifferenceKind(StrEnum):
    PAID_NOT_RECORDED = "paid_not_recorded"
    RECORDED_NOT_PAID = "recorded_not_paid"
    MISSING_RESULT = "missing_result"
    FAILED_BUT_PAID = "failed_but_paid"
    RECEIPT_UNKNOWN_TO_US = "receipt_unknown_to_us"
    RECEIPT_MISSING_IN_STATEMENT = "receipt_missing_in_statement"
    RECEIPT_DIFFERS = "receipt_differs"
    AMOUNT_DIFFERS = "amount_differs"
    PHONE_DIFFERS = "phone_differs"
    DUPLICATE_PAYMENT = "duplicate_payment"
    REVERSED = "reversed"
    WRONG_AMOUNT_IN_MIFOS = "wrong_amount_in_mifos"
    WRONG_RECEIPT_IN_MIFOS = "wrong_receipt_in_mifos"
    WRONG_DATE_IN_MIFOS = "wrong_date_in_mifos"
    UNDONE_IN_MIFOS = "undone_in_mifos"
    DISBURSED_BY_HAND = "disbursed_by_hand"
    WRONG_PARTNER = "wrong_partner"
    ORPHAN_ROW = "orphan_row"
    UNREADABLE_ROW = "unreadable_row"

    @property
    def label(self) -> str:
        return LABELS[self]

    @property
    def next_step(self) -> str:
        return NEXT_STEPS[self]


LABELS = {
    DifferenceKind.PAID_NOT_RECORDED: "Paid, not recorded in Mifos X",
    DifferenceKind.RECORDED_NOT_PAID: "Recorded as paid, no payment proven",
    DifferenceKind.MISSING_RESULT: "Paid by M-Pesa, result never reached us",
    DifferenceKind.FAILED_BUT_PAID: "Failed with us, paid by M-Pesa",
    DifferenceKind.RECEIPT_UNKNOWN_TO_US: "In the statement, not with us",
    DifferenceKind.RECEIPT_MISSING_IN_STATEMENT: "With us, not in the statement",
    DifferenceKind.RECEIPT_DIFFERS: "Another receipt in the statement",
    DifferenceKind.AMOUNT_DIFFERS: "M-Pesa paid another amount",
    DifferenceKind.PHONE_DIFFERS: "M-Pesa paid another phone number",
    DifferenceKind.DUPLICATE_PAYMENT: "Paid twice",
    DifferenceKind.REVERSED: "Reversed by M-Pesa",
    DifferenceKind.WRONG_AMOUNT_IN_MIFOS: "Wrong amount in Mifos X",
    DifferenceKind.WRONG_RECEIPT_IN_MIFOS: "Wrong receipt in Mifos X",
    DifferenceKind.WRONG_DATE_IN_MIFOS: "Wrong date in Mifos X",
    DifferenceKind.UNDONE_IN_MIFOS: "Undone in Mifos X after payment",
    DifferenceKind.DISBURSED_BY_HAND: "Disbursed outside Loan Poll",
    DifferenceKind.WRONG_PARTNER: "Belongs to another partner",
    DifferenceKind.ORPHAN_ROW: "Belongs to nothing we know",
    DifferenceKind.UNREADABLE_ROW: "Statement line cannot be read",
}

NEXT_STEPS = {
    DifferenceKind.PAID_NOT_RECORDED: (
        "Nothing: the next pass records it in Mifos X. If it is here again tomorrow, open the loan."
    ),
    DifferenceKind.RECORDED_NOT_PAID: (
        "Look for the payment in the M-PESA portal; if there is none, undo the disbursement in "
        "Mifos X."
    ),
    DifferenceKind.MISSING_RESULT: (
        "Wait for one pass, which asks M-Pesa; if it stays silent, two people settle it with "
        "resolve_review and this receipt."
    ),
    DifferenceKind.FAILED_BUT_PAID: (
        "Do not retry. Confirm the receipt in the M-PESA portal and record the payment in Mifos X "
        "by hand."
    ),
    DifferenceKind.RECEIPT_UNKNOWN_TO_US: (
        "Find out who made this payment and for what; if it was for a loan, record it in Mifos X."
    ),
    DifferenceKind.RECEIPT_MISSING_IN_STATEMENT: (
        "Search the receipt in the M-PESA portal; if it is unknown there, call Safaricom before "
        "anything else."
    ),
    DifferenceKind.RECEIPT_DIFFERS: (
        "Compare both receipts in the M-PESA portal and correct the one in Mifos X."
    ),
    DifferenceKind.AMOUNT_DIFFERS: (
        "Confirm the amount in the M-PESA portal and settle the difference with the borrower."
    ),
    DifferenceKind.PHONE_DIFFERS: (
        "Confirm the receiver in the M-PESA portal and ask Safaricom to reverse a wrong payment."
    ),
    DifferenceKind.DUPLICATE_PAYMENT: (
        "Confirm both receipts in the M-PESA portal and ask Safaricom to reverse one of them."
    ),
    DifferenceKind.REVERSED: (
        "Find out who reversed it; then undo the disbursement in Mifos X, or pay again by hand."
    ),
    DifferenceKind.WRONG_AMOUNT_IN_MIFOS: (
        "Undo the disbursement in Mifos X and record it with the approved principal."
    ),
    DifferenceKind.WRONG_RECEIPT_IN_MIFOS: (
        "Correct the payment details of the disbursement in Mifos X."
    ),
    DifferenceKind.WRONG_DATE_IN_MIFOS: (
        "Undo the disbursement in Mifos X and record it with the day M-Pesa paid."
    ),
    DifferenceKind.UNDONE_IN_MIFOS: (
        "Ask who undid it; record it again, or get the money back before a new cycle is opened."
    ),
    DifferenceKind.DISBURSED_BY_HAND: (
        "Ask who disbursed it; make sure that the borrower was paid once."
    ),
    DifferenceKind.WRONG_PARTNER: (
        "Check shortcode and tenant of both partners; correct the book that holds it wrongly."
    ),
    DifferenceKind.ORPHAN_ROW: (
        "Look for another installation or a restored backup that uses this tenant or shortcode."
    ),
    DifferenceKind.UNREADABLE_ROW: "Export the statement again, or check this line by eye.",
}

# Which of them put their loan into the work queue. A difference of another kind mends itself, or
# is an everyday event that only has to be listed.
REVIEWS = {
    DifferenceKind.RECORDED_NOT_PAID: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.MISSING_RESULT: ReviewReason.OUTCOME_UNKNOWN,
    DifferenceKind.FAILED_BUT_PAID: ReviewReason.CONTRADICTION,
    DifferenceKind.RECEIPT_UNKNOWN_TO_US: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.RECEIPT_MISSING_IN_STATEMENT: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.RECEIPT_DIFFERS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.AMOUNT_DIFFERS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.PHONE_DIFFERS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.DUPLICATE_PAYMENT: ReviewReason.DOUBLE_PAYMENT,
    DifferenceKind.REVERSED: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.WRONG_AMOUNT_IN_MIFOS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.WRONG_RECEIPT_IN_MIFOS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.WRONG_DATE_IN_MIFOS: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.UNDONE_IN_MIFOS: ReviewReason.UNDONE_AFTER_PAYMENT,
    DifferenceKind.WRONG_PARTNER: ReviewReason.BOOKS_DIFFER,
    DifferenceKind.ORPHAN_ROW: ReviewReason.BOOKS_DIFFER,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing the books do not say alike. `said` is a sentence for staff, without phone numbers.

    `alarm` is a graver cause than its kind has; `is_quiet` keeps its loan out of the work queue.
    """

    kind: DifferenceKind
    said: str
    partner: str = ""  # slug
    loan: LoanTracking | None = None
    attempt_id: int | None = None
    amount: Decimal | None = None
    receipt: str = ""
    ours: str = ""
    mpesa: str = ""
    mifos: str = ""
    line: int | None = None  # of the statement
    alarm: ReviewReason | None = None
    is_quiet: bool = False

    @property
    def review(self) -> ReviewReason | None:
        """Why its loan needs a person, or None."""
        if self.loan is None or self.is_quiet:
            return None
        return self.alarm or REVIEWS.get(self.kind)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same difference, however often it is met."""
        if self.attempt_id is not None:
            return (self.kind, self.attempt_id, self.receipt)
        return (self.kind, self.partner, self.loan.pk if self.loan else self.line, self.said)
