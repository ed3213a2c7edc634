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
MOST = 2**63  # beyond it the database knows no id, and no amount


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or not 2000 <= at.year < 2100:
        raise ValueError(text)
    return at


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite() or abs(amount) >= MOST:
        raise ValueError(text)
    return amount


def _id(text: str) -> int:
    if not 0 <= int(text) < MOST:
        raise ValueError(text)
    return int(text)


_READ: dict[str, Callable[[Any], Any]] = {
    "created_at": _instant,
    "review_since": _instant,
    "payout": _amount,
    "status": str,
    "id": _id,
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
    """Some rows, and the keys of the pages around them (empty = there is none)."""

    loans: list[LoanTracking]
    next: str
    previous: str = ""


Rows = list[tuple[int, LoanTracking]]


def read_page(
    loans: QuerySet[LoanTracking], *, sort: str, after: str = "", before: str = "", size: int
) -> Page:
    """Return the rows after or before a key. A key that cannot be read is the first page."""
    tiers = SORTS[sort]
    if before and (key := _read_key(before, tiers)):
        rows = _walk(loans, tiers, key, limit=size + 1, step=-1)[::-1]
        if len(rows) > size:  # fewer: the first page begins here, and is read from its beginning
            return _page(rows[1:], tiers, has_previous=True, has_next=True)
    start = _read_key(after, tiers) if after else None
    rows = _walk(loans, tiers, start or (0, []), limit=size + 1, step=1)
    return _page(rows[:size], tiers, has_previous=bool(start), has_next=len(rows) > size)


def _page(rows: Rows, tiers: tuple[Tier, ...], *, has_previous: bool, has_next: bool) -> Page:
    return Page(
        loans=[loan for _, loan in rows],
        next=_key(*rows[-1], tiers) if rows and has_next else "",
        previous=_key(*rows[0], tiers) if rows and has_previous else "",
    )


def _walk(
    loans: QuerySet[LoanTracking],
    tiers: tuple[Tier, ...],
    start: tuple[int, list[Any]],
    *,
    limit: int,
    step: int,
) -> Rows:
    """Return up to `limit` rows beyond the key `start`, forwards or (step -1) backwards."""
    rows: Rows = []
    number, values = start
    while 0 <= number < len(tiers) and len(rows) < limit:
        tier = tiers[number] if step > 0 else _backwards(tiers[number])
        part = _in_order(loans, tier, values)
        rows += [(number, loan) for loan in part[: limit - len(rows)]]
        number, values = number + step, []
    return rows


def _backwards(tier: Tier) -> Tier:
    flipped = (name[1:] if name.startswith("-") else f"-{name}" for name in tier.order)
    return Tier(condition=tier.condition, order=tuple(flipped))


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
