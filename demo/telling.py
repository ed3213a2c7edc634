"""Prints what happens to each loan as it happens, from the trail of events itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from disbursements.models import AttemptStatus
from loans.models import LoanEvent, LoanStatus

Say = Callable[[str], object]

WORDS = {
    **{status.value: status.label.lower() for status in LoanStatus},
    AttemptStatus.SUBMITTING: "asking",
    AttemptStatus.ACCEPTED: "accepted, not yet paid",
    AttemptStatus.UNKNOWN: "outcome unknown",
    AttemptStatus.PAID: "paid, not yet in Mifos",
    AttemptStatus.COMPLETED: "in Mifos",
    AttemptStatus.FAILED: "failed, no money moved",
}
BESIDES_TEXT = 54  # columns for the time, the lender, the loan and its state
LEAST_TEXT, MOST_TEXT = 44, 90
WIDE = 160  # a file has no width, and whoever reads it wants the whole reason


@dataclass(kw_only=True)
class Teller:
    """Follows `loan_events` and says each new one in a line."""

    say: Say
    began_at: datetime
    first_disbursed_seconds: float | None = None
    last: int = 0
    width: int = field(
        default_factory=lambda: text_width(shutil.get_terminal_size(fallback=(WIDE, 24)).columns)
    )
    _last_reason: dict[int, str] = field(default_factory=dict)

    def follow(self) -> int:
        """Tell what is new; return how many events that were."""
        events = LoanEvent.objects.filter(pk__gt=self.last).order_by("pk")
        count = 0
        for event in events.select_related("loan_tracking__partner"):
            count += 1
            self.last = event.pk
            # A move of an attempt and that of its loan tell one thing: say it once.
            if self._last_reason.get(event.loan_tracking_id) != event.reason:
                self.say(line_of(event, width=self.width))
            self._last_reason[event.loan_tracking_id] = event.reason
            self._note_first(event)
        return count

    def _note_first(self, event: LoanEvent) -> None:
        if event.to_status == LoanStatus.DISBURSED and self.first_disbursed_seconds is None:
            seconds = round((event.at - self.began_at).total_seconds(), 1)
            self.first_disbursed_seconds = seconds
            self.act(f"the first loan is disbursed, {seconds} s after the start")

    def act(self, text: str) -> None:
        """Tell what a person does, as a line of its own."""
        self.say(f"  {timezone.localtime():%H:%M:%S}  --  {text}")


def text_width(columns: int) -> int:
    """Return how much of a line of `columns` is for what happened."""
    return max(LEAST_TEXT, min(columns - BESIDES_TEXT, MOST_TEXT))


def line_of(event: LoanEvent, *, width: int) -> str:
    """Return one event as a line: when, whose loan, what, and how the loan stands now."""
    loan = event.loan_tracking
    when = timezone.localtime(event.at)
    text = event.reason if len(event.reason) <= width else f"{event.reason[: width - 1]}…"
    return (
        f"  {when:%H:%M:%S}  {loan.partner.slug:<8} {loan.loan_id}  {text:<{width}}"
        f"  -> {state_of(event)}"
    )


def state_of(event: LoanEvent) -> str:
    """Return in two words how the loan stands after this event."""
    if event.details.get("review"):
        return "NEEDS A PERSON"
    if event.to_status == LoanStatus.PENDING and event.details.get("hold"):
        return "held"
    if not event.from_status and event.to_status == LoanStatus.PENDING:
        return "found"
    return WORDS.get(event.to_status, event.to_status)
