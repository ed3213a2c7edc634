"""The promise of 99 % paid within 15 minutes, and how much of its error budget is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.lookups import GreaterThan

from disbursements.pages.instants import LocalDay, Seconds
from disbursements.pages.scope import User, visible_loans
from disbursements.pages.wording import counted
from loans.models import LoanApproval

WINDOW = timedelta(days=30)
PROMISE = timedelta(minutes=15)
ALLOWED = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Loans paid in the window that waited for no person and no day. `late` broke the promise."""

    paid: int = 0
    late: int = 0

    @property
    def left(self) -> str:
        if not self.paid:
            return "no payouts yet"
        left = 1 - self.late / (self.paid * ALLOWED)
        return f"{max(0.0, left) * 100:.0f} % left"

    @property
    def said(self) -> str:
        if not self.paid:
            return ""
        return f"{self.late:,} of {counted(self.paid, 'payout')} took over 15 min in 30 days"


def budgets_of(user: User, *, now: datetime) -> dict[int, Budget]:
    """Return each partner's budget, in one statement over the loans paid in the window."""
    asked = LoanApproval.objects.filter(loan_tracking_id=OuterRef("pk"))
    paid = visible_loans(user).filter(
        ~Exists(asked),
        Q(expected_disbursement_date=None)
        | Q(expected_disbursement_date__lte=LocalDay("created_at")),
        disbursed_at__gte=now - WINDOW,
    )
    took = Seconds("disbursed_at") - Seconds("created_at")
    late = Q(GreaterThan(took, PROMISE.total_seconds()))
    rows = paid.order_by().values("partner_id")
    counts = rows.annotate(paid=Count("id"), late=Count("id", filter=late))
    return {
        row["partner_id"]: Budget(paid=row["paid"], late=row["late"]) for row in counts.iterator()
    }
