"""The only writer of loan events, and of the status of a loan.

Every event is chained to the one before it on the same loan by a digest, so that a changed, missing
or inserted event shows. The chain's head is kept on the loan's row, which every writer locks first.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from loans.models import LoanEvent, LoanStatus, LoanTracking
from prepared.statements import Prepared, Rows, Slot

LONGEST_ACTOR = 150  # two long user names settle together
_loans = Prepared(LoanTracking)
_locked = Rows(lambda: _lockable().filter(pk=Slot("pk")))
_locked_of_attempt = Rows(lambda: _lockable().filter(attempts=Slot("attempt")))


class StaleLoan(Exception):
    """The loan is no longer in the status this move leaves. Somebody else was first: read again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventDraft:
    """One event before it is chained. `details` hold plain JSON values; amounts as text."""

    from_status: str
    to_status: str
    actor: str
    reason: str
    at: datetime
    details: dict[str, Any] = field(default_factory=dict)
    disbursement_request_id: int | None = None


def lock_loan(pk: int) -> LoanTracking:
    """Return the loan, locked until the transaction ends. Every writer of a loan starts here."""
    return _locked.get(pk=pk)


def lock_loan_of(attempt: int) -> LoanTracking:
    """Return the loan of an attempt, locked in the same way."""
    return _locked_of_attempt.get(attempt=attempt)


def move_loan(
    loan: LoanTracking, to_status: LoanStatus, *, draft: EventDraft, **columns: Any
) -> None:
    """Move a locked loan to `to_status`, with its event. Raises StaleLoan when it has moved on."""
    _update(loan, [draft], status=to_status, **columns)


def note_on_loan(loan: LoanTracking, *, drafts: list[EventDraft], **columns: Any) -> None:
    """Write events and columns on a locked loan that keeps its status."""
    _update(loan, drafts, **columns)


def note_change(
    loan: LoanTracking,
    *,
    actor: str,
    reason: str,
    at: datetime,
    details: dict[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Write one event that changes columns and not the status, on a locked loan."""
    draft = EventDraft(
        from_status=loan.status,
        to_status=loan.status,
        actor=actor,
        reason=reason,
        at=at,
        details=details or {},
    )
    _update(loan, [draft], **columns)


def chain(loan: LoanTracking, drafts: list[EventDraft]) -> list[LoanEvent]:
    """Return unsaved events chained to the loan's head; the new head is set on `loan`."""
    events = []
    for draft in drafts:
        previous, loan.audit_head = loan.audit_head, digest_of(loan, draft, loan.audit_head)
        events.append(
            LoanEvent(
                loan_tracking=loan,
                disbursement_request_id=draft.disbursement_request_id,
                from_status=draft.from_status,
                to_status=draft.to_status,
                actor=draft.actor[:LONGEST_ACTOR],
                reason=draft.reason[:500],
                at=draft.at,
                details=draft.details,
                previous_digest=previous,
                digest=loan.audit_head,
            )
        )
    return events


def digest_of(loan: LoanTracking, draft: EventDraft, previous: str) -> str:
    """Return the digest (SHA-256, hex) of one event that follows the digest `previous`."""
    content = [
        f"{loan.partner_id}/{loan.loan_id}/{loan.cycle}",
        draft.disbursement_request_id,
        draft.from_status,
        draft.to_status,
        draft.actor[:LONGEST_ACTOR],
        draft.reason[:500],
        draft.at.astimezone(UTC).isoformat(timespec="microseconds"),
        draft.details,
        previous,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _update(loan: LoanTracking, drafts: list[EventDraft], **columns: Any) -> None:
    # No savepoint: a move that fails undoes the caller's whole transaction.
    with transaction.atomic(savepoint=False):
        events = chain(loan, drafts)
        columns = {"updated_at": drafts[-1].at, **columns, "audit_head": loan.audit_head}
        moved = _loans.filter(pk=loan.pk, status=loan.status).update(**columns)
        if moved != 1:
            raise StaleLoan(f"{loan} is no longer {loan.status}")
        LoanEvent.objects.bulk_create(events)
    for name, value in columns.items():
        setattr(loan, name, value)


def _lockable() -> QuerySet[LoanTracking]:
    return LoanTracking.objects.select_for_update(of=("self",))
