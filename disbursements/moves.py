"""The only writer of an attempt's status: a guarded UPDATE and its event, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from disbursements import handover
from disbursements.models import ALLOWED_MOVES, AttemptStatus, DisbursementRequest
from loans.audit import EventDraft, lock_loan_of, note_on_loan
from loans.models import LoanStatus, LoanTracking
from prepared.statements import Prepared, Rows, Slot

_attempts = Prepared(DisbursementRequest)
_attempt = Rows(lambda: DisbursementRequest.objects.filter(pk=Slot("pk")))


class IllegalMove(Exception):
    """This move does not exist. That is a bug."""


class StaleAttempt(Exception):
    """The attempt is no longer in the status this move leaves: read again and decide again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One move of an attempt. `columns` go on the attempt, `loan_columns` on its loan.

    `loan_status` moves the loan with it, with an event of its own.
    """

    to_status: AttemptStatus
    actor: str
    reason: str
    at: datetime
    details: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    loan_status: LoanStatus | None = None
    loan_columns: dict[str, Any] = field(default_factory=dict)


@contextmanager
def locked_attempt(
    pk: int, *, savepoint: bool = True
) -> Iterator[tuple[DisbursementRequest, LoanTracking]]:
    """Give the attempt and its loan as committed, the loan locked until the block ends.

    Without `savepoint`, an error in the block undoes the caller's whole transaction.
    """
    with transaction.atomic(savepoint=savepoint):
        loan = lock_loan_of(pk)
        attempt = _attempt.get(pk=pk)
        yield attempt, loan


def move_attempt(attempt: DisbursementRequest, loan: LoanTracking, move: Move) -> None:
    """Move a locked attempt. Raises IllegalMove, or StaleAttempt when another was first."""
    before = AttemptStatus(attempt.status)
    if move.to_status not in ALLOWED_MOVES[before]:
        raise IllegalMove(f"{attempt}: {before} to {move.to_status}")
    columns = {"updated_at": move.at, **move.columns, "status": move.to_status}
    # No savepoint: a move that fails undoes the caller's whole transaction.
    with transaction.atomic(savepoint=False):
        moved = _attempts.filter(pk=attempt.pk, status=before).update(**columns)
        if moved != 1:
            raise StaleAttempt(f"{attempt} is no longer {before}")
        note_on_loan(loan, drafts=_drafts(attempt, loan, before, move), **_loan_columns(move))
        for name, value in columns.items():
            setattr(attempt, name, value)
        handover.after_change(attempt, columns)


def note_on_attempt(attempt: DisbursementRequest, **columns: Any) -> None:
    """Write facts on an attempt that keeps its status. Raises StaleAttempt when it has moved on."""
    noted = _attempts.filter(pk=attempt.pk, status=attempt.status)
    if noted.update(**columns) != 1:
        raise StaleAttempt(f"{attempt} is no longer {attempt.status}")
    for name, value in columns.items():
        setattr(attempt, name, value)
    handover.after_change(attempt, columns)


def _drafts(
    attempt: DisbursementRequest, loan: LoanTracking, before: AttemptStatus, move: Move
) -> list[EventDraft]:
    drafts = [
        EventDraft(
            from_status=before,
            to_status=move.to_status,
            actor=move.actor,
            reason=move.reason,
            at=move.at,
            details=move.details,
            disbursement_request_id=attempt.pk,
        )
    ]
    if move.loan_status is not None and move.loan_status != loan.status:
        drafts.append(
            EventDraft(
                from_status=loan.status,
                to_status=move.loan_status,
                actor=move.actor,
                reason=move.reason,
                at=move.at,
            )
        )
    return drafts


def _loan_columns(move: Move) -> dict[str, Any]:
    columns = {**move.loan_columns, "disbursement_status": move.to_status}
    if move.loan_status is not None:
        columns["status"] = move.loan_status
    return columns
