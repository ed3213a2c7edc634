"""A record that waits for a checker in Mifos X, and what becomes of it."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from disbursements.models import DisbursementRequest
from disbursements.moves import locked_attempt, note_on_attempt
from disbursements.shown import look
from disbursements.unrecorded import CHECKER_PATIENCE, alarm, later, waits_since
from loans.audit import note_change
from loans.models import LoanTracking, ReviewReason
from mifos.client import CommandState, MifosClient, MifosUnreachable
from partners.overlap import leave_database


def tell_again(
    attempt: DisbursementRequest, loan: LoanTracking, *, actor: str, now: datetime
) -> None:
    """Let a locked attempt be recorded now, on a person's word. What its checker refused is posted
    as a new command, under a new key: the old one is answered with the old command for ever. So is
    what was called for without a command that waits: its key may have died in Mifos X.

    The refusal is over with that: told once more, it is the same new command, not a third.
    """
    note_on_attempt(attempt, next_record_at=now)
    if loan.review_reason == ReviewReason.CHECKER_REJECTED:
        _leave_the_key(attempt, loan, actor=actor, now=now, review_reason="", review_since=None)
    elif loan.review_reason == ReviewReason.PAID_NOT_RECORDED and attempt.mifos_command_id is None:
        _leave_the_key(attempt, loan, actor=actor, now=now)


def _leave_the_key(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    *,
    actor: str,
    now: datetime,
    **columns: object,
) -> None:
    """The date, too, may be what was refused: the loan may have been approved anew since."""
    anew = {"mifos_command_id": None, "record_key_no": attempt.record_key_no + 1}
    note_on_attempt(attempt, record_date=None, **anew)
    note_change(
        loan,
        actor=actor,
        reason="Mifos X is told by a new command, since nothing came of the last",
        at=now,
        details={"disbursement_request_id": attempt.pk, "record_key_no": attempt.record_key_no},
        **columns,
    )


def wait_for_checker(attempt: DisbursementRequest, mifos: MifosClient) -> bool:
    """See what became of the command that waits. True when the loan shows it by now."""
    leave_database()
    loan_id = attempt.loan_tracking.loan_id
    state = _state_of_command(attempt, mifos)
    if state == CommandState.PROCESSED:
        found = look(attempt, mifos.loan(loan_id))
        if found is not None:
            return found
    with locked_attempt(attempt.pk) as (current, _):
        if current.mifos_command_id == attempt.mifos_command_id:
            _note_state(attempt, state)
        # Else it was told by a new command meanwhile, of which the old one's fate says nothing.
    return False


def _state_of_command(attempt: DisbursementRequest, mifos: MifosClient) -> CommandState:
    try:
        return mifos.command_state(
            attempt.mifos_command_id or 0, loan_id=attempt.loan_tracking.loan_id
        )
    except MifosUnreachable:
        # The loan was read a moment ago. Fineract answers HTTP 500 for a command that is deleted.
        return CommandState.UNREADABLE


def _note_state(attempt: DisbursementRequest, state: CommandState) -> None:
    """Write what became of the command of a locked attempt, and call a person if it is in vain."""
    if why := _why_no_checker(state, attempt):
        alarm(attempt, *why)
    if state == CommandState.OF_ANOTHER_LOAN:
        # We were given another request's answer: ours is posted again, under its own key.
        note_on_attempt(attempt, mifos_command_id=None)
        later(attempt, "Mifos X named another loan's command; it is told once more")
        return
    later(attempt, "Paid; the record in Mifos X waits for a checker's approval")


def _why_no_checker(
    state: CommandState, attempt: DisbursementRequest
) -> tuple[ReviewReason, str] | None:
    """Return why it is in vain to wait for the checker, or None."""
    is_late = timezone.now() - waits_since(attempt) > CHECKER_PATIENCE
    match state:
        case CommandState.REJECTED:
            said = "Paid, and the checker in Mifos X rejected the record"
            return ReviewReason.CHECKER_REJECTED, said
        case CommandState.GONE:
            said = "Paid, and Mifos X no longer knows the record that waited for a checker"
            return ReviewReason.CHECKER_REJECTED, said
        case CommandState.PROCESSED:
            said = "Paid; the checker approved the record, and the loan does not show it"
            return ReviewReason.PAID_NOT_RECORDED, said
        case CommandState.UNREADABLE | CommandState.OF_ANOTHER_LOAN if is_late:
            said = "Paid, and Mifos X does not say what became of the record: see the checker"
            return ReviewReason.PAID_NOT_RECORDED, said
        case _ if is_late:
            return ReviewReason.PAID_NOT_RECORDED, "Paid; the checker in Mifos X has not approved"
    return None
