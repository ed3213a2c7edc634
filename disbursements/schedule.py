"""When to ask M-Pesa again about a silent payment, and when its id may be sent again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from disbursements.models import AttemptStatus, DisbursementRequest
from mpesa.results import is_success

# In units of LOANPOLL_STATUS_QUERY_AFTER (5 min by default): asked at 5, 15 and 60 min, 6 h and
# 24 h after the send (contracts/mpesa.md 7), then every 24 h.
STEPS = (1, 3, 12, 72, 288)


def next_question_at(attempt: DisbursementRequest, *, now: datetime) -> datetime:
    """Return when the next status query is due, counted from the last send. Never before `now`."""
    unit = timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER)
    sent_at = attempt.last_sent_at or attempt.created_at
    planned = [sent_at + unit * step for step in STEPS]
    due = next((at for at in planned if at > now), now + unit * STEPS[-1])
    return min(due, _for_the_second_not_found(attempt, now=now) or due)


def may_send_again(attempt: DisbursementRequest, *, now: datetime) -> bool:
    """Rule 6: two "not found" answers, apart enough and neither too early nor too late."""
    first, last = attempt.first_not_found_at, attempt.last_not_found_at
    if attempt.status != AttemptStatus.UNKNOWN or first is None or last is None:
        return False
    if attempt.failure_reported_at is not None:
        return False
    if is_success(attempt.result_code):  # M-Pesa, or its statement, has spoken of it
        return False
    sent_at = attempt.last_sent_at or attempt.created_at
    return (
        last - first >= _seconds(settings.LOANPOLL_NOT_FOUND_INTERVAL)
        and first > sent_at
        and last - sent_at >= _seconds(settings.LOANPOLL_RESEND_AFTER)
        and not is_too_late(attempt, now=now)
    )


def is_too_late(attempt: DisbursementRequest, *, now: datetime) -> bool:
    """How long M-Pesa remembers an id is not known (contracts/mpesa.md 3)."""
    first_sent_at = attempt.first_sent_at or attempt.created_at
    return now - first_sent_at >= _seconds(settings.LOANPOLL_RESEND_UNTIL)


def _for_the_second_not_found(attempt: DisbursementRequest, *, now: datetime) -> datetime | None:
    """After a first "not found", ask when a second one would allow the same id to be sent again."""
    if attempt.first_not_found_at is None:
        return None
    sent_at = attempt.last_sent_at or attempt.created_at
    wanted = max(
        attempt.first_not_found_at + _seconds(settings.LOANPOLL_NOT_FOUND_INTERVAL),
        sent_at + _seconds(settings.LOANPOLL_RESEND_AFTER),
    )
    return wanted if wanted > now else None


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)
