"""The status tags: text, icon and colour of each status, as every page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from disbursements.models import AttemptStatus
from loans.decide import APPROVABLE_HOLDS
from loans.holding import is_held_for_a_person
from loans.models import LoanStatus, LoanTracking


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """`tone` is a class of the style sheet and `icon` a symbol of the icon sheet."""

    text: str
    tone: str
    icon: str


REVIEW = Tag(text="Needs review", tone="review", icon="triangle")
PERSON = Tag(text="Needs a person", tone="approval", icon="hand")
APPROVAL = Tag(text="Needs approval", tone="approval", icon="hand")
OF_STATUS = {
    LoanStatus.PENDING: Tag(text="Pending", tone="pending", icon="clock"),
    LoanStatus.PROCESSING: Tag(text="Processing", tone="processing", icon="arrows"),
    LoanStatus.DISBURSED: Tag(text="Disbursed", tone="disbursed", icon="tick"),
    LoanStatus.FAILED: Tag(text="Failed", tone="failed", icon="cross"),
    LoanStatus.CANCELLED: Tag(text="Cancelled", tone="cancelled", icon="dash"),
}
OF_ATTEMPT = {
    AttemptStatus.SUBMITTING: Tag(text="Sending", tone="processing", icon="arrows"),
    AttemptStatus.ACCEPTED: Tag(text="Accepted", tone="processing", icon="arrows"),
    AttemptStatus.UNKNOWN: Tag(text="Unknown", tone="review", icon="triangle"),
    AttemptStatus.PAID: Tag(text="Paid", tone="disbursed", icon="tick"),
    AttemptStatus.COMPLETED: Tag(text="Completed", tone="disbursed", icon="tick"),
    AttemptStatus.FAILED: Tag(text="Failed", tone="failed", icon="cross"),
}


def tag_of(loan: LoanTracking) -> Tag:
    """Return the one tag a loan wears. A review overlays every status."""
    if loan.review_reason:
        return REVIEW
    if loan.status == LoanStatus.PENDING and loan.hold_reason in APPROVABLE_HOLDS:
        return APPROVAL
    if is_held_for_a_person(loan):
        return PERSON
    return status_tag(loan)


def status_tag(loan: LoanTracking) -> Tag:
    """Return the tag of the stored status alone."""
    return OF_STATUS[LoanStatus(loan.status)]


def attempt_tag(status: str) -> Tag:
    """Return the tag of one attempt."""
    return OF_ATTEMPT[AttemptStatus(status)]
