"""A second pair of eyes: one person approves one amount to one phone, never their own request."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction

from loans.audit import lock_loan, note_change
from loans.decide import APPROVABLE_HOLDS
from loans.models import ApprovalState, LoanApproval, LoanStatus, LoanTracking
from loans.phones import mask_msisdn

# Whose loan it is, and for what: of the loan, where the request names the amount and the phone.
SAME_LOAN = ("client_id", "product_id", "approved_on")
DECLINED_BY = "Declined by "  # and the name, at the head of the hold that it is
HALF_A_HOLD = 150  # characters: two causes share one column; the history has both in full


class ApprovalRefused(Exception):
    """The approval cannot be given. The text says why, for staff."""


def approve_loan(
    pk: int,
    *,
    by: User,
    amount: Decimal,
    phone_number: str,
    reason: str,
    now: datetime,
    cause: str | None = None,
    shown: LoanTracking | None = None,
) -> None:
    """Approve the payout of `amount` (KES) to `phone_number`, held by `cause` (None = whatever
    holds it now), as the approver saw them; and the loan as it was `shown` (None = as it is)."""
    _answer(
        pk,
        ApprovalState.APPROVED,
        by=by,
        seen=(amount, phone_number),
        cause=cause,
        reason=reason,
        now=now,
        shown=shown,
    )


def decline_loan(pk: int, *, by: User, reason: str, now: datetime) -> None:
    """Decline the payout: the loan stays held by staff until somebody releases it."""
    _answer(pk, ApprovalState.DECLINED, by=by, seen=None, reason=reason, now=now)


def request_approval(pk: int, *, by: str, now: datetime) -> None:
    """Ask for an approval in a person's name: that person may then not approve it.

    Raises ApprovalRefused when there is no amount to approve.
    """
    with transaction.atomic():
        loan = lock_loan(pk)
        if loan.net_disbursal_amount is None:
            raise ApprovalRefused("Mifos X does not say what the borrower should get.")
        LoanApproval.objects.update_or_create(
            loan_tracking=loan,
            state=ApprovalState.REQUESTED,
            defaults={
                "amount": loan.net_disbursal_amount,
                "phone_number": loan.phone_number,
                "cause": loan.hold_reason,
                "requested_by": by,
                "requested_at": now,
            },
        )


def expire_approvals(loan: LoanTracking) -> int:
    """End what was approved for a locked loan: it was for other terms or an earlier payment."""
    approved = loan.approvals.filter(state=ApprovalState.APPROVED)
    return approved.update(state=ApprovalState.EXPIRED)


def _answer(
    pk: int,
    state: ApprovalState,
    *,
    by: User,
    seen: tuple[Decimal, str] | None,
    reason: str,
    now: datetime,
    cause: str | None = None,
    shown: LoanTracking | None = None,
) -> None:
    with transaction.atomic():
        loan = lock_loan(pk)
        request = _open_request(loan)
        if cause is not None and cause != loan.hold_reason:
            raise ApprovalRefused(f"Loan {loan.loan_id} is held for another reason now; look.")
        if any(getattr(loan, name) != getattr(shown or loan, name) for name in SAME_LOAN):
            raise ApprovalRefused(f"Loan {loan.loan_id} changed in Mifos X; look again.")
        _check(loan, request, by=by, seen=seen, reason=reason)
        LoanApproval.objects.filter(pk=request.pk, state=ApprovalState.REQUESTED).update(
            state=state, decided_by=by, decided_at=now, reason=reason[:500]
        )
        # Held for something else already: whoever releases it must know of both.
        room = HALF_A_HOLD if loan.staff_hold else 2 * HALF_A_HOLD
        why = (f"{DECLINED_BY}{by.get_username()}: {reason}"[:room], loan.staff_hold)
        declined = {"staff_hold": "; ".join(each for each in why if each)[:300]}
        note_change(
            loan,
            actor=by.get_username(),
            reason=f"{state.label} KES {request.amount}: {reason}",
            at=now,
            details={
                "approval": state.value,
                "amount": str(request.amount),
                "msisdn": mask_msisdn(request.phone_number),
                "requested_by": request.requested_by,
            },
            decided_at=None,
            **(declined if state == ApprovalState.DECLINED else {}),
        )


def _open_request(loan: LoanTracking) -> LoanApproval:
    if loan.status != LoanStatus.PENDING or loan.hold_reason not in APPROVABLE_HOLDS:
        raise ApprovalRefused(f"Loan {loan.loan_id} does not wait for an approval.")
    request = loan.approvals.filter(state=ApprovalState.REQUESTED).first()
    if request is None:
        raise ApprovalRefused(f"Nobody has asked for an approval of loan {loan.loan_id}.")
    return request


def _check(
    loan: LoanTracking,
    request: LoanApproval,
    *,
    by: User,
    seen: tuple[Decimal, str] | None,
    reason: str,
) -> None:
    if not reason.strip():
        raise ApprovalRefused("A reason is required; it is kept in the history.")
    if request.requested_by == by.get_username():
        raise ApprovalRefused("You asked for this approval; another person must give it.")
    present = (loan.net_disbursal_amount, loan.phone_number)
    if present != (request.amount, request.phone_number) or seen not in {None, present}:
        raise ApprovalRefused(
            f"The amount or the phone number of loan {loan.loan_id} changed; look again."
        )
