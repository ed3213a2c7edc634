"""Keeps a known loan true to Mifos X while nothing was sent; sees when it left or came back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from loans.approvals import expire_approvals
from loans.audit import EventDraft, lock_loan, move_loan, note_change
from loans.models import ApprovalState, HoldReason, LoanStatus, LoanTracking, ReviewReason
from loans.phones import mask_msisdn
from loans.review import raise_review
from loans.terms import changed_terms
from mifos.client import Loan, LoanDetail, MifosClient, MifosError, MifosNotFound
from partners.overlap import leave_database

# Statuses of Mifos X in words that staff know (contracts/mifos.md 3).
MIFOS_STATUS_WORDS = {
    100: "approval was undone",
    300: "disbursed by hand",
    303: "transfer in progress",
    304: "transfer on hold",
    400: "withdrawn by the applicant",
    500: "rejected",
    600: "disbursed by hand and closed",
    601: "written off",
    602: "rescheduled",
    700: "disbursed by hand and overpaid",
}
APPROVED_TERMS = frozenset(
    {
        "loan_amount",
        "net_disbursal_amount",
        "phone_number",
        "client_id",
        "product_id",
        "approved_on",
    }
)
DISBURSALS = "disbursals"  # in an event's details: the disbursals of Mifos X that it knew of
DISBURSED_BY_HAND = frozenset({300, 600, 601, 602, 700})


def take_facts(pk: int, columns: Mapping[str, Any], *, now: datetime) -> LoanTracking:
    """Write what Mifos X says now on a pending loan, with an event; it is decided anew later."""
    with transaction.atomic():
        loan = lock_loan(pk)
        changed = changed_terms(loan, dict(columns))
        if loan.status != LoanStatus.PENDING or not changed:
            return loan
        extra = _phone_change(loan, changed, now=now)
        if not APPROVED_TERMS.isdisjoint(changed):
            # For good: terms that change back are not what the approver saw either.
            expire_approvals(loan)
        note_change(
            loan,
            actor="system",
            reason="Mifos X changed: " + "; ".join(_told(loan, changed)),
            at=now,
            **{**changed, **extra, "decided_at": None},
        )
    return loan


def cancel_or_keep(pk: int, loan_id: int, mifos: MifosClient, *, now: datetime) -> bool:
    """Re-read a pending loan that left the list; cancel it only if it no longer waits.

    Raises MifosError when Mifos X does not say.
    """
    leave_database()
    try:
        loan: Loan | None = mifos.loan(loan_id)
    except MifosNotFound:
        loan = None
    if loan is not None and loan.waiting_for_disbursal:
        return False
    return cancel(pk, loan, now=now)


def cancel(pk: int, loan: Loan | None, *, now: datetime) -> bool:
    """Cancel a pending loan that Mifos X no longer lets us pay. Nothing was sent for it."""
    status_id = loan.status_id if loan else None
    why = MIFOS_STATUS_WORDS.get(status_id or 0, "no longer there") if status_id else "not found"
    with transaction.atomic():
        row = lock_loan(pk)
        if row.status != LoanStatus.PENDING:
            return False
        # An approval was for this stay on the waiting list only.
        row.approvals.exclude(state=ApprovalState.DECLINED).update(state=ApprovalState.EXPIRED)
        move_loan(
            row,
            LoanStatus.CANCELLED,
            draft=EventDraft(
                from_status=row.status,
                to_status=LoanStatus.CANCELLED,
                actor="system",
                reason=f"Left Mifos X's waiting list: {why}",
                at=now,
                details={"mifos_status": status_id, **_disbursals_of(loan)},
            ),
            hold_reason="",
            error_message=f"Left Mifos X's waiting list: {why}",
            next_attempt_at=None,
            # Money may have gone out: however often it comes back, a person looks first.
            approval_cause=HoldReason.REOPENED
            if _may_be_paid(row, status_id)
            else row.approval_cause,  # a changed number stays to be confirmed
        )
    return True


def _disbursals_of(loan: Loan | None) -> dict[str, list[int]]:
    """What an approval of a loan that comes back after this will know of."""
    shown = loan.disbursals if isinstance(loan, LoanDetail) else ()
    return {DISBURSALS: [each.transaction_id for each in shown]} if shown else {}


def _may_be_paid(row: LoanTracking, status_id: int | None) -> bool:
    was_reopened = row.approval_cause == HoldReason.REOPENED or row.cycle > 1
    return was_reopened or status_id in DISBURSED_BY_HAND


def review_if_undone(row: LoanTracking, mifos: MifosClient, *, now: datetime) -> None:
    """A paid loan is on the waiting list: a person is called if Mifos X says so once more.

    The list was asked for before our row was read, so the record may have come in between.
    """
    if row.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT:
        return
    leave_database()
    try:
        still_waits = mifos.loan(row.loan_id).waiting_for_disbursal
    except MifosError:
        return  # the next poll looks again
    if still_waits:
        raise_review(
            row.pk,
            ReviewReason.UNDONE_AFTER_PAYMENT,
            message="Mifos X shows this paid loan as waiting again: its disbursement was undone",
            now=now,
        )


def reopen(pk: int, columns: Mapping[str, Any], *, now: datetime) -> None:
    """A cancelled loan waits again in Mifos X: it is judged anew, by what is known of it."""
    with transaction.atomic():
        row = lock_loan(pk)
        if row.status != LoanStatus.CANCELLED:
            return
        move_loan(
            row,
            LoanStatus.PENDING,
            draft=EventDraft(
                from_status=row.status,
                to_status=LoanStatus.PENDING,
                actor="system",
                reason=f"Approved again in Mifos X; {_history_of(row)}",
                at=now,
            ),
            **{**columns, "error_message": "", "decided_at": None},
        )


def _history_of(row: LoanTracking) -> str:
    if row.attempts.exists():
        return "an earlier attempt of it stands in this history"
    return "nothing was ever sent for it"


def _phone_change(
    loan: LoanTracking, changed: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """A number that changes after approval is how money is stolen: a person confirms it first."""
    if "phone_number" not in changed or not loan.phone_number:
        return {}
    # A number that is taken away counts too: the next one to come would not look like a change.
    was_reopened = loan.approval_cause == HoldReason.REOPENED  # the graver cause stays
    cause = HoldReason.REOPENED if was_reopened else HoldReason.PHONE_CHANGED
    return {"phone_changed_at": now, "approval_cause": cause}


def _told(loan: LoanTracking, changed: Mapping[str, Any]) -> list[str]:
    return [_one_change(name, getattr(loan, name), value) for name, value in changed.items()]


def _one_change(name: str, before: object, after: object) -> str:
    if name == "phone_number":
        before, after = mask_msisdn(str(before)), mask_msisdn(str(after))
    return f"{name.replace('_', ' ')} from {before or 'none'} to {after or 'none'}"
