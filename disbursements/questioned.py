"""Of which attempts M-Pesa or Mifos X spoke of a success, and no two people have settled it yet."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from disbursements.models import SETTLEABLE, DisbursementRequest, ReviewResolution
from loans.models import LoanEvent, LoanTracking
from loans.review import OF_A_SUCCESS, SETTLED


def questioned(loan: LoanTracking) -> set[int | None]:
    """Return their keys; None stands for something that is no attempt of ours.

    The loan has one column for its review, and several of its attempts may be in doubt at once.
    """
    said = loan.events.filter(details__review__in=[each.value for each in OF_A_SUCCESS])
    return unsettled(loan, said)


def unsettled(loan: LoanTracking, said: QuerySet[LoanEvent]) -> set[int | None]:
    """Return of which attempts these events speak, after all that two people have settled."""
    last = {
        details.get("disbursement_request_id"): (at, pk)
        for pk, details, at in said.order_by("id").values_list("id", "details", "at")
    }
    if not last:
        return set()
    settled = ReviewResolution.objects.filter(
        disbursement_request__loan_tracking=loan, confirmed_at__isnull=False
    )
    events = _settlements(loan)
    for pk, attempt, at in settled.values_list("pk", "disbursement_request_id", "confirmed_at"):
        for key in (attempt, None):
            if key in last and _is_before(last[key], at, events.get(pk)):
                del last[key]
    return set(last)


def _settlements(loan: LoanTracking) -> dict[int, int]:
    """Return the event of each settlement, by the resolution's key."""
    events = loan.events.filter(details__has_key=SETTLED)
    return {details[SETTLED]: pk for pk, details in events.values_list("id", "details")}


def _is_before(said: tuple[datetime, int], at: datetime | None, event: int | None) -> bool:
    """By the trail's order: two machines' clocks may differ (reliability.md A8). Only what was
    settled before the trail told so is compared by time."""
    if event is None:
        return at is not None and said[0] <= at
    return said[1] < event


def attempt_to_settle(attempts: list[DisbursementRequest]) -> DisbursementRequest | None:
    """Return the attempt that two people should look at: an open one, else one in doubt."""
    if not attempts:
        return None
    live = [one for one in attempts if one.status in SETTLEABLE]
    if live or not attempts[-1].loan_tracking.review_reason:
        return (live or attempts)[-1]
    doubted = questioned(attempts[-1].loan_tracking)
    return ([one for one in attempts if one.pk in doubted] or attempts)[-1]
