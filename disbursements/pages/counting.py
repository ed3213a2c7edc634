"""The summary strip: how many loans and how much money wait for what, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from loans.decide import APPROVABLE_HOLDS
from loans.holding import HELD_FOR_A_PERSON
from loans.models import HoldReason, LoanStatus, LoanTracking

PAYOUT = Coalesce("net_disbursal_amount", "loan_amount")

NEEDS_REVIEW = ~Q(review_reason="")
# Or for somebody to release what the system holds for a person.
NEEDS_APPROVAL = (
    Q(status=LoanStatus.PENDING, hold_reason__in=sorted(APPROVABLE_HOLDS)) | HELD_FOR_A_PERSON
)
WAITS_FOR_FLOAT = Q(status=LoanStatus.PENDING, hold_reason=HoldReason.FLOAT_SHORT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """One card's figures. `money` counts shillings only."""

    count: int
    money: Decimal
    oldest_at: datetime | None


def start_of_today(now: datetime) -> datetime:
    """Return this day's midnight, where the staff are."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def card_conditions(*, now: datetime) -> dict[str, Q]:
    """Return which loans each card counts. Its link filters the table likewise."""
    unpaid = [status for status in LoanStatus if status != LoanStatus.DISBURSED]
    return {
        "needs_review": NEEDS_REVIEW,
        "pending": Q(status=LoanStatus.PENDING),
        "processing": Q(status=LoanStatus.PROCESSING),
        "failed": Q(status=LoanStatus.FAILED),
        # `status = disbursed` would lead SQLite through all there ever were, not today's.
        "disbursed_today": ~Q(status__in=unpaid) & Q(disbursed_at__gte=start_of_today(now)),
        "float": WAITS_FOR_FLOAT,
    }


def totals(loans: QuerySet[LoanTracking], *, now: datetime) -> dict[str, Total]:
    """Return the figures of every card, each by its own index. Old settled loans are not read."""
    first, *others = (
        _figures(card, loans.filter(condition))
        for card, condition in card_conditions(now=now).items()
    )
    return {row["card"]: _total(row) for row in first.union(*others, all=True)}


def _figures(card: str, loans: QuerySet[LoanTracking]) -> Any:
    return (
        loans.order_by()
        .values(card=Value(card))
        .annotate(
            count=Count("id"),
            money=Sum(PAYOUT, filter=Q(currency="KES")),
            oldest=Min("created_at"),
        )
    )


def _total(row: dict[str, Any]) -> Total:
    return Total(count=row["count"], money=row["money"] or Decimal(0), oldest_at=row["oldest"])
