"""Clients that answer from memory, for checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from mifos.client import PaymentType, Product


@dataclass
class FakeMifos:
    """A Mifos X where all is well; an exception in place of an answer is raised."""

    allowed: Any = frozenset({"DISBURSE_LOAN", "READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE"})
    pages: Any = field(default_factory=lambda: [[object(), object()], [object()]])
    types: Any = field(
        default_factory=lambda: [
            PaymentType(payment_type_id=1, name="Cash", is_cash=True),
            PaymentType(payment_type_id=3, name="M-Pesa", is_cash=False),
        ]
    )
    offered: Any = field(default_factory=lambda: [Product(product_id=7, name="Emergency")])
    today: Any = date(2026, 11, 23)
    unreadable_rows: list[str] = field(default_factory=list)

    def permissions(self) -> Any:
        return _answer(self.allowed)

    def approved_loans(self) -> Iterator[Any]:
        yield from _answer(self.pages)

    def payment_types(self) -> Any:
        return _answer(self.types)

    def products(self) -> Any:
        return _answer(self.offered)

    def business_date(self, *, now: datetime) -> Any:
        return _answer(self.today)


@dataclass
class FakeMpesa:
    """A Daraja that gives a token, or raises what it is told to."""

    token: Any = None

    def prepare(self) -> None:
        _answer(self.token)


def _answer(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value
