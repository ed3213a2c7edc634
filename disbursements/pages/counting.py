"""The summary strip: how many loans and how much money wait for what, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from loans.models import HoldReason, LoanStatus, LoanTracking

PAYOUT = Coalesce("net_disbursal_amount", "loan_amount")

NEEDS_REVIEW = ~Q(review_reason="")
NEEDS_APPROVAL = Q(status=LoanStatus.PENDING, hold_reason=HoldReason.NEEDS_APPROVAL)
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
    return {
        "needs_review": NEEDS_REVIEW,
        "pending": Q(status=LoanStatus.PENDING),
        "processing": Q(status=LoanStatus.PROCESSING),
        "failed": Q(status=LoanStatus.FAILED),
        "disbursed_today": Q(status=LoanStatus.DISBURSED, disbursed_at__gte=start_of_today(now)),
        "float": WAITS_FOR_FLOAT,
    }


def totals(loans: QuerySet[LoanTracking], *, now: datetime) -> dict[str, Total]:
    """Return the figures of every card. Settled loans of other days are not even read."""
    conditions = card_conditions(now=now)
    any_card = Q()
    for condition in conditions.values():
        any_card |= condition
    figures = loans.filter(any_card).aggregate(
        **{
            f"{card}_{name}": figure
            for card, condition in conditions.items()
            for name, figure in _figures(condition).items()
        }
    )
    return {card: _total(card, figures) for card in conditions}


def _figures(condition: Q) -> dict[str, Any]:
    return {
        "count": Count("id", filter=condition),
        "money": Sum(PAYOUT, filter=condition & Q(currency="KES")),
        "oldest": Min("created_at", filter=condition),
    }


def _total(card: str, figures: dict[str, Any]) -> Total:
    return Total(
        count=figures[f"{card}_count"],
        money=figures[f"{card}_money"] or Decimal(0),
        oldest_at=figures[f"{card}_oldest"],
    )
