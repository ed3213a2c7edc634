"""Of which attempts M-Pesa or Mifos X spoke of a success, and no two people have settled it yet."""

from __future__ import annotations

from disbursements.models import SETTLEABLE, DisbursementRequest, ReviewResolution
from loans.models import LoanTracking
from loans.review import OF_A_SUCCESS


def questioned(loan: LoanTracking) -> set[int | None]:
    """Return their keys; None stands for something that is no attempt of ours.

    The loan has one column for its review, and several of its attempts may be in doubt at once.
    """
    said = loan.events.filter(details__review__in=[each.value for each in OF_A_SUCCESS])
    last = {
        details.get("disbursement_request_id"): at
        for details, at in said.order_by("id").values_list("details", "at")
    }
    settled = ReviewResolution.objects.filter(
        disbursement_request__loan_tracking=loan, confirmed_at__isnull=False
    )
    for pk, at in settled.values_list("disbursement_request_id", "confirmed_at"):
        for key in (pk, None):
            if key in last and at is not None and last[key] <= at:
                del last[key]
    return set(last)


def attempt_to_settle(attempts: list[DisbursementRequest]) -> DisbursementRequest | None:
    """Return the attempt that two people should look at: an open one, else one in doubt."""
    if not attempts:
        return None
    live = [one for one in attempts if one.status in SETTLEABLE]
    if live or not attempts[-1].loan_tracking.review_reason:
        return (live or attempts)[-1]
    doubted = questioned(attempts[-1].loan_tracking)
    return ([one for one in attempts if one.pk in doubted] or attempts)[-1]
