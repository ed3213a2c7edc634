"""What one comparison of the books found, as plain facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from disbursements.models import DisbursementRequest
from disbursements.reconcile.coherence import Breach
from disbursements.reconcile.differences import Difference
from disbursements.reconcile.window import Window


@dataclass(kw_only=True, slots=True)
class Book:
    """One book's sum: what went to customers; `principal` is what Mifos X is told (gross)."""

    payments: int = 0
    amount: Decimal = Decimal(0)
    principal: Decimal = Decimal(0)

    @classmethod
    def of(cls, attempts: Iterable[DisbursementRequest]) -> Book:
        book = cls()
        for attempt in attempts:
            book.payments += 1
            book.amount += attempt.amount
            book.principal += attempt.principal
        return book


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementFacts:
    """Which file was compared, and what in it went elsewhere than to customers."""

    name: str
    sha256: str
    shortcode: str
    rows: int
    charges: Decimal
    reversals: Decimal


@dataclass(kw_only=True, slots=True)
class Reconciliation:
    """`errors` are the partners that could not be read, by slug; their payments match nothing."""

    window: Window
    at: datetime
    is_rehearsal: bool
    loanpoll: Book = field(default_factory=Book)
    mpesa: Book = field(default_factory=Book)
    mifos: Book = field(default_factory=Book)
    matched: Book = field(default_factory=Book)
    statement: StatementFacts | None = None
    uncovered: int = 0
    partners: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    no_verdict: list[DisbursementRequest] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Was everything compared, and does our own book make sense? Differences may remain."""
        return not self.errors and not self.breaches
