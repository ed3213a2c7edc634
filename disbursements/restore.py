"""After a backup was restored: what it says was never sent may have been sent since."""

from __future__ import annotations

from datetime import datetime

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import locked_attempt, note_on_attempt
from disbursements.sending import doubt

WHY = "Restored from a backup: this send may have left since; asking M-Pesa"


def doubt_unsent(*, actor: str, now: datetime) -> int:
    """Move every attempt that waits to be sent to `unknown`; return how many.

    Only such an attempt could be withdrawn for a new id without M-Pesa being asked. All others are
    safe by themselves: a lost attempt gets its old id again, which M-Pesa refuses to pay twice.
    """
    waiting = DisbursementRequest.objects.filter(status=AttemptStatus.SUBMITTING)
    return sum(_doubt(pk, actor, now=now) for pk in list(waiting.values_list("pk", flat=True)))


def _doubt(pk: int, actor: str, *, now: datetime) -> bool:
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status != AttemptStatus.SUBMITTING:
            return False
        note_on_attempt(attempt, sends_in_doubt=max(attempt.sends_in_doubt, 1))
        doubt(attempt, loan, reason=WHY, details={"by": actor}, ask_at=now, now=now)
        return True
