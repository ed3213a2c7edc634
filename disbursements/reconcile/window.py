"""The days a comparison is about, in Nairobi's calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models.functions import Coalesce
from django.utils import timezone

from disbursements.models import DisbursementRequest
from loans.eligibility import start_of_day

# When M-Pesa says the money moved; our own clock where it did not say.
MOVED_AT = Coalesce("transaction_completed_at", "paid_at", "created_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """From the start of `first` to the end of `last`; both days belong to it."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        return start_of_day(self.first).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return start_of_day(self.last + timedelta(days=1)).astimezone(UTC)

    def holds(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.first:%a %d %b %Y}"
        return f"{self.first:%a %d %b %Y} to {self.last:%a %d %b %Y}"


def day_named(text: str, *, today: date) -> date:
    """Return the day called `today`, `yesterday` or YYYY-MM-DD. Raises ValueError."""
    match text.strip().lower():
        case "today":
            return today
        case "yesterday":
            return today - timedelta(days=1)
        case other:
            return day_of(other)


def day_of(text: str) -> date:
    """Return the day written as YYYY-MM-DD, of this century. Raises ValueError.

    Beyond the calendar's ends there is no next day, and no such instant in another zone.
    """
    day = date.fromisoformat(text)
    if not 2000 <= day.year < 2100:
        raise ValueError(f"{text} is not in this century")
    return day


def moved_at(attempt: DisbursementRequest) -> datetime:
    """Return when the money of this attempt moved, as MOVED_AT does in the database."""
    return attempt.transaction_completed_at or attempt.paid_at or attempt.created_at


def paid_on(attempt: DisbursementRequest) -> date:
    return timezone.localdate(moved_at(attempt))
