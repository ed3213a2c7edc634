"""Staff stop one loan, let it go, or open a new cycle for one undone after payment."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from loans.approvals import DECLINED_BY, request_approval
from loans.audit import EventDraft, StaleLoan, chain, lock_loan, note_change
from loans.models import HoldReason, LoanEvent, LoanStatus, LoanTracking, ReviewReason

HELD_BY = "Held by "
BY_PEOPLE = (HELD_BY, DECLINED_BY)  # how a hold begins that a person made
# Held by the system for a person: nobody knows of it but who is told.
HELD_FOR_A_PERSON = (
    Q(status=LoanStatus.PENDING, hold_reason=HoldReason.HELD_BY_STAFF)
    & ~Q(staff_hold="")
    & ~Q(staff_hold__startswith=HELD_BY)
    & ~Q(staff_hold__startswith=DECLINED_BY)
)


def is_held_for_a_person(loan: LoanTracking) -> bool:
    """What HELD_FOR_A_PERSON asks the database, of a row that was read."""
    is_held = loan.status == LoanStatus.PENDING and loan.hold_reason == HoldReason.HELD_BY_STAFF
    return is_held and bool(loan.staff_hold) and not loan.staff_hold.startswith(BY_PEOPLE)


class HoldRefused(Exception):
    """The loan cannot be held, released or reopened now. The text says why, for staff."""


COPIED = (
    "partner_id",
    "loan_id",
    "account_number",
    "client_id",
    "client_name",
    "phone_number",
    "product_id",
    "product_name",
    "loan_amount",
    "net_disbursal_amount",
    "currency",
    "approved_on",
    "expected_disbursement_date",
    "mifos_obstacle",
)


def hold_loan(pk: int, *, actor: str, reason: str, now: datetime) -> None:
    """Keep a pending loan from being paid until it is released."""
    with transaction.atomic():
        loan = _pending(pk, reason)
        if loan.staff_hold:  # whoever releases it must know of the cause that is there
            raise HoldRefused(f"Loan {loan.loan_id} is held already: {loan.staff_hold}")
        text = f"{HELD_BY}{actor}: {reason}"[:300]
        note_change(
            loan,
            actor=actor,
            reason=text,
            at=now,
            details={"hold": HoldReason.HELD_BY_STAFF.value},
            staff_hold=text,
            hold_reason=HoldReason.HELD_BY_STAFF,
            error_message=text,
            next_attempt_at=None,
        )


def release_loan(
    pk: int, *, actor: str, reason: str, now: datetime, seen: str | None = None
) -> None:
    """Let a held loan be judged again by its rules, if its hold is the one `seen` (None = any)."""
    with transaction.atomic():
        loan = _pending(pk, reason)
        if not loan.staff_hold:
            raise HoldRefused(f"Loan {loan.loan_id} is not held by staff.")
        if seen not in {None, loan.staff_hold}:
            raise StaleLoan
        note_change(
            loan,
            actor=actor,
            reason=f"Released: {reason}",
            at=now,
            staff_hold="",
            decided_at=None,
        )


def open_new_cycle(pk: int, *, actor: str, reason: str, now: datetime) -> LoanTracking:
    """Open a new cycle of a loan whose disbursement was undone after we paid (rule 15).

    The new row waits for an approval by somebody else; nothing is ever paid again by itself.
    """
    with transaction.atomic():
        old = lock_loan(pk)
        if old.review_reason != ReviewReason.UNDONE_AFTER_PAYMENT or not reason.strip():
            raise HoldRefused(
                f"Loan {old.loan_id} gets a new cycle only after its paid disbursement was undone "
                "in Mifos X, and with a reason."
            )
        later = LoanTracking.objects.filter(
            partner=old.partner_id, loan_id=old.loan_id, cycle__gt=old.cycle
        )
        if later.exists():
            raise HoldRefused(f"Loan {old.loan_id} has a newer cycle already.")
        note_change(
            old,
            actor=actor,
            reason=f"Cycle {old.cycle + 1} opened: {reason}",
            at=now,
            review_reason="",
            review_since=None,
        )
        return _insert_cycle(old, actor=actor, reason=reason, now=now)


def _insert_cycle(old: LoanTracking, *, actor: str, reason: str, now: datetime) -> LoanTracking:
    fresh = LoanTracking(
        cycle=old.cycle + 1,
        created_at=now,
        approval_cause=HoldReason.REOPENED,
        hold_reason=HoldReason.REOPENED,
        error_message=str(HoldReason.REOPENED.label),
        decided_at=now,
        **{name: getattr(old, name) for name in COPIED},
    )
    draft = EventDraft(
        from_status="",
        to_status=LoanStatus.PENDING,
        actor=actor,
        reason=f"New cycle after an undone payment: {reason}",
        at=now,
    )
    [event] = chain(fresh, [draft])
    fresh.save(force_insert=True)
    event.loan_tracking = fresh
    LoanEvent.objects.bulk_create([event])
    # Asked for in this person's name, so that another must give it.
    request_approval(fresh.pk, by=actor, now=now)
    return fresh


def _pending(pk: int, reason: str) -> LoanTracking:
    loan = lock_loan(pk)
    if loan.status != LoanStatus.PENDING:
        raise HoldRefused(
            f"Loan {loan.loan_id} is {loan.get_status_display().lower()}; only a pending loan can "
            "be held or released."
        )
    if not reason.strip():
        raise HoldRefused("A reason is required; it is kept in the history.")
    return loan
