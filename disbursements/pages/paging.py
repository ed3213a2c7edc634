"""Pages by key, not by number: a page of a million loans costs what a page of a hundred costs."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Q, QuerySet

from disbursements.pages.counting import NEEDS_REVIEW, PAYOUT
from loans.models import LoanStatus, LoanTracking

PAGE_SIZE = 50

_WAITING = Q(status__in=[LoanStatus.PENDING, LoanStatus.PROCESSING])
_READ: dict[str, Callable[[Any], Any]] = {
    "created_at": lambda text: datetime.fromisoformat(text),
    "review_since": lambda text: datetime.fromisoformat(text),
    "payout": Decimal,
    "status": str,
    "id": int,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """One stretch of the list: which loans, in which order. Its order ends in a unique field."""

    condition: Q
    order: tuple[str, ...]


# The list is its tiers one after the other: "needs review first" sorts no whole table.
SORTS: dict[str, tuple[Tier, ...]] = {
    "": (
        Tier(condition=NEEDS_REVIEW, order=("created_at", "id")),
        Tier(condition=_WAITING & Q(review_reason=""), order=("created_at", "id")),
        Tier(condition=~_WAITING & Q(review_reason=""), order=("-created_at", "-id")),
    ),
    "newest": (Tier(condition=Q(), order=("-created_at", "-id")),),
    "oldest": (Tier(condition=Q(), order=("created_at", "id")),),
    "highest": (Tier(condition=Q(), order=("-payout", "-id")),),
    "lowest": (Tier(condition=Q(), order=("payout", "id")),),
    "status": (Tier(condition=Q(), order=("status", "-created_at", "-id")),),
    "-status": (Tier(condition=Q(), order=("-status", "-created_at", "-id")),),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some rows, and the key of the page after them (empty = this is the last one)."""

    loans: list[LoanTracking]
    next: str


def read_page(loans: QuerySet[LoanTracking], *, sort: str, after: str, size: int) -> Page:
    """Return the rows after the key `after`. A key that cannot be read is the first page."""
    tiers = SORTS[sort]
    start, values = _read_key(after, tiers) or (0, [])
    rows: list[tuple[int, LoanTracking]] = []
    for number in range(start, len(tiers)):
        part = _in_order(loans, tiers[number], values if number == start else [])
        rows += [(number, loan) for loan in part[: size + 1 - len(rows)]]
        if len(rows) > size:
            break
    more = len(rows) > size
    return Page(
        loans=[loan for _, loan in rows[:size]],
        next=_key(*rows[size - 1], tiers) if more else "",
    )


def _in_order(
    loans: QuerySet[LoanTracking], tier: Tier, values: list[Any]
) -> QuerySet[LoanTracking]:
    if any(name.lstrip("-") == "payout" for name in tier.order):
        loans = loans.alias(payout=PAYOUT)
    return loans.filter(tier.condition, _beyond(tier.order, values)).order_by(*tier.order)


def _beyond(order: tuple[str, ...], values: list[Any]) -> Q:
    """Return the condition `(a, b) > (x, y)`, written so that an index on a is used."""
    if not values:
        return Q()
    name, value = order[0].lstrip("-"), values[0]
    side = "lt" if order[0].startswith("-") else "gt"
    past = Q(**{f"{name}__{side}": value})
    if len(order) == 1:
        return past
    return Q(**{f"{name}__{side}e": value}) & (past | _beyond(order[1:], values[1:]))


def _key(number: int, loan: LoanTracking, tiers: tuple[Tier, ...]) -> str:
    values = [_written(loan, name.lstrip("-")) for name in tiers[number].order]
    return base64.urlsafe_b64encode(json.dumps([number, *values]).encode()).decode().rstrip("=")


def _written(loan: LoanTracking, name: str) -> str:
    if name == "payout":
        net = loan.net_disbursal_amount
        return str(loan.loan_amount if net is None else net)
    value = getattr(loan, name)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read_key(after: str, tiers: tuple[Tier, ...]) -> tuple[int, list[Any]] | None:
    try:
        number, *texts = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        names = [name.lstrip("-") for name in tiers[range(len(tiers))[number]].order]
        return number, [_READ[name](text) for name, text in zip(names, texts, strict=True)]
    except (binascii.Error, ValueError, TypeError, IndexError, InvalidOperation):
        return None
