"""Compares three books payment by payment: M-Pesa's ledger, our receipts, Mifos X's disbursals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from disbursements.models import AttemptStatus, DisbursementRequest
from sandbox.control import SandboxControl

MONEY_MOVED = (AttemptStatus.PAID, AttemptStatus.COMPLETED)


class Kind(StrEnum):
    """What two books say differently of one loan."""

    NOT_OURS = "M-Pesa paid it, and we hold no receipt"
    NO_DEBIT = "we hold a receipt, and M-Pesa did not pay it"
    TWICE = "M-Pesa paid it twice"
    OTHER_PAYMENT = "the receipt, amount or phone differs between M-Pesa and us"
    NOT_RECORDED = "paid, and not in Mifos X"
    BY_HAND = "in Mifos X, and not by us"
    OTHER_AMOUNT = "the amount in Mifos X is not the principal"


Loan = tuple[str, int]  # the lender's slug (also its tenant), and the loan's id in Mifos X


@dataclass(frozen=True, kw_only=True)
class Difference:
    loan: Loan
    kind: Kind
    net: Decimal


@dataclass(kw_only=True)
class Book:
    """One book: how many payouts it knows, and their net amount in KES."""

    name: str
    payments: int = 0
    kes: Decimal = Decimal(0)

    def add(self, net: Decimal) -> None:
        self.payments += 1
        self.kes += net


@dataclass(kw_only=True)
class Comparison:
    """The three books side by side."""

    mpesa: Book = field(default_factory=lambda: Book(name="M-Pesa (debits)"))
    ours: Book = field(default_factory=lambda: Book(name="Loan Poll (receipts)"))
    mifos: Book = field(default_factory=lambda: Book(name="Mifos X (disbursals)"))
    matched: Book = field(default_factory=lambda: Book(name="The same in all three"))
    differences: list[Difference] = field(default_factory=list)


@dataclass(kw_only=True)
class _Entries:
    """What the three books hold of one loan."""

    debits: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[DisbursementRequest] = field(default_factory=list)
    disbursals: list[dict[str, Any]] = field(default_factory=list)


def compare(box: SandboxControl) -> Comparison:
    """Read all three books and match them, loan by loan."""
    result = Comparison()
    for loan, entries in sorted(_entries(box).items()):
        _count(result, entries)
        found = [
            Difference(loan=loan, kind=kind, net=_net(entries)) for kind in _differences(entries)
        ]
        result.differences += found
        if not found:
            result.matched.add(_net(entries))
    return result


def _entries(box: SandboxControl) -> dict[Loan, _Entries]:
    books: dict[Loan, _Entries] = defaultdict(_Entries)
    asked: dict[str, Loan] = {}
    for attempt in DisbursementRequest.objects.select_related("loan_tracking__partner"):
        row = attempt.loan_tracking
        loan = (row.partner.slug, row.loan_id)
        asked[attempt.originator_conversation_id] = loan
        if attempt.status in MONEY_MOVED:
            books[loan].attempts.append(attempt)
    for debit in box.debits():
        if not debit["reversed"]:
            # A debit under an id we never made belongs to no loan of ours: loan 0 of "unknown".
            books[asked.get(debit["ocid"], ("unknown", 0))].debits.append(debit)
    for disbursal in box.book()["transactions"]:
        if not disbursal["reversed"]:
            books[disbursal["tenant"], disbursal["loan_id"]].disbursals.append(disbursal)
    return books


def _count(result: Comparison, entries: _Entries) -> None:
    for debit in entries.debits:
        result.mpesa.add(Decimal(debit["amount"]))
    for attempt in entries.attempts:
        result.ours.add(attempt.amount)
    for disbursal in entries.disbursals:
        result.mifos.add(Decimal(disbursal["net"] or disbursal["amount"]))


def _differences(entries: _Entries) -> Iterator[Kind]:
    yield from _with_mpesa(entries)
    yield from _with_mifos(entries)


def _with_mpesa(entries: _Entries) -> Iterator[Kind]:
    if len(entries.debits) > 1:
        yield Kind.TWICE
    elif entries.debits and not entries.attempts:
        yield Kind.NOT_OURS
    elif entries.attempts and not entries.debits:
        yield Kind.NO_DEBIT
    elif entries.debits and not _is_same_payment(entries.attempts[0], entries.debits[0]):
        yield Kind.OTHER_PAYMENT


def _with_mifos(entries: _Entries) -> Iterator[Kind]:
    attempt = next(iter(entries.attempts), None)
    ours = [row for row in entries.disbursals if attempt is not None and _is_ours(attempt, row)]
    if attempt is not None and not ours:
        yield Kind.NOT_RECORDED
    if len(ours) < len(entries.disbursals):
        yield Kind.BY_HAND
    if attempt is not None and ours and _sum(ours) != attempt.principal:
        yield Kind.OTHER_AMOUNT


def _is_same_payment(attempt: DisbursementRequest, debit: dict[str, Any]) -> bool:
    return (attempt.transaction_receipt, attempt.amount, attempt.msisdn) == (
        debit["receipt"],
        Decimal(debit["amount"]),
        debit["msisdn"],
    )


def _is_ours(attempt: DisbursementRequest, disbursal: dict[str, Any]) -> bool:
    if disbursal["external_id"]:
        return bool(disbursal["external_id"] == attempt.mifos_external_id)
    return bool(disbursal["receipt"] == attempt.transaction_receipt)


def _sum(disbursals: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["amount"]) for row in disbursals), Decimal(0))


def _net(entries: _Entries) -> Decimal:
    if entries.attempts:
        return entries.attempts[0].amount
    if entries.debits:
        return Decimal(entries.debits[0]["amount"])
    return Decimal(entries.disbursals[0]["net"] or entries.disbursals[0]["amount"])
