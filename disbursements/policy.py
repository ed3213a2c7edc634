"""When a new attempt may follow a proven failure without anybody asking (rule 14)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from loans.eligibility import start_of_day
from mpesa.models import NewAttempt
from mpesa.result_codes import meaning_of


def next_automatic_attempt(
    attempt: DisbursementRequest, *, code: str, now: datetime
) -> datetime | None:
    """Return from when a new attempt may open by itself after this failure, or None: a person asks.

    A float shortage is due at once, and waits at the shortcode's gate until the float is seen.
    """
    policy = meaning_of(code).new_attempt if code else NewAttempt.NEVER
    if policy == NewAttempt.FLOAT:
        return now
    if policy == NewAttempt.NEXT_DAY and not _was_tried_again(attempt):
        return start_of_day(timezone.localdate(now) + timedelta(days=1))
    return None


def _was_tried_again(attempt: DisbursementRequest) -> bool:
    """Code 4 and 8 get one more try, on the next day; after that a person decides."""
    earlier = DisbursementRequest.objects.filter(
        loan_tracking=attempt.loan_tracking_id,
        status=AttemptStatus.FAILED,
        attempt_no__lt=attempt.attempt_no,
    )
    codes = earlier.values_list("result_code", flat=True)
    return any(meaning_of(code).new_attempt == NewAttempt.NEXT_DAY for code in codes)
