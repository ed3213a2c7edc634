"""What an M-PESA statement says, against our book: by receipt first, then by likeness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from disbursements.models import MONEY_MOVED, AttemptStatus, DisbursementRequest
from disbursements.receipts import is_struck
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.reconcile.suggestions import Suggestions
from disbursements.reconcile.window import Window, moved_at
from disbursements.statement import RowKind, Statement, StatementRow, names_phone
from loans.eligibility import start_of_day
from partners.models import Partner

CHUNK = 500  # receipts in one query


@dataclass(kw_only=True, slots=True)
class MpesaFinding:
    """What the statement holds. Counts and amounts are of money that went to customers."""

    differences: list[Difference] = field(default_factory=list)
    payments: int = 0
    amount: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)
    reversals: Decimal = Decimal(0)
    # Attempts outside the statement's period, or whose row in it cannot be read.
    uncovered: set[int] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One statement, what it is compared with, and what is found on the way."""

    statement: Statement
    window: Window
    shortcode: str
    partners: tuple[Partner, ...]
    holders: dict[str, list[DisbursementRequest]]  # by receipt
    reversed_receipts: dict[str, StatementRow]

    def rows(self, kind: RowKind) -> Iterator[StatementRow]:
        return (
            row for row in self.statement.rows if row.kind == kind and self.window.holds(row.at)
        )

    @property
    def slug(self) -> str:
        """The partner of a row that names none: empty where several share the shortcode."""
        return self.partners[0].slug if len(self.partners) == 1 else ""


def compare_with_statement(
    statement: Statement,
    window: Window,
    *,
    shortcode: str,
    partners: Sequence[Partner],
    paid: Iterable[DisbursementRequest],
    now: datetime,
) -> MpesaFinding:
    """Compare the statement of one shortcode with our book. `paid` is our book of the window."""
    ours = [each for each in paid if each.mpesa_shortcode == shortcode]
    comparison = Comparison(
        statement=statement,
        window=window,
        shortcode=shortcode,
        partners=tuple(partners),
        holders=_holders(statement),
        reversed_receipts=_reversed(statement),
    )
    finding = _totals(comparison)
    unmatched = []
    for row in comparison.rows(RowKind.PAYOUT):
        if row.receipt in comparison.holders:
            finding.differences += _matched(comparison, row)
        elif row.moved_money:
            unmatched.append(row)
    absent = _absent(comparison, ours, finding, now=now)
    finding.differences += _explained(comparison, unmatched, absent)
    finding.differences += _reversals(comparison)
    finding.differences += _unreadable(comparison)
    return finding


def _totals(comparison: Comparison) -> MpesaFinding:
    payouts = [row for row in comparison.rows(RowKind.PAYOUT) if row.moved_money]
    reversals = [row for row in comparison.rows(RowKind.REVERSAL) if row.moved_money]
    return MpesaFinding(
        payments=len(payouts),
        amount=sum((row.amount for row in payouts), Decimal(0)),
        charges=sum((row.amount for row in comparison.rows(RowKind.CHARGE)), Decimal(0)),
        reversals=sum((row.amount for row in reversals), Decimal(0)),
    )


def _holders(statement: Statement) -> dict[str, list[DisbursementRequest]]:
    """Our attempts by the receipts the statement names, of any partner and any day."""
    named = {row.receipt for row in statement.rows if row.kind == RowKind.PAYOUT}
    named |= {row.linked for row in statement.rows if row.linked}
    receipts = sorted(named)
    found: defaultdict[str, list[DisbursementRequest]] = defaultdict(list)
    for start in range(0, len(receipts), CHUNK):
        attempts = DisbursementRequest.objects.filter(
            transaction_receipt__in=receipts[start : start + CHUNK]
        )
        for attempt in attempts.select_related("loan_tracking", "partner"):
            found[attempt.transaction_receipt].append(attempt)
    return dict(found)


def _reversed(statement: Statement) -> dict[str, StatementRow]:
    found = {
        row.linked: row
        for row in statement.rows
        if row.kind == RowKind.REVERSAL and row.moved_money
    }
    marked = (row for row in statement.rows if row.kind == RowKind.PAYOUT)
    return {**{row.receipt: row for row in marked if row.is_marked_reversed}, **found}


def _matched(comparison: Comparison, row: StatementRow) -> Iterator[Difference]:
    holders = comparison.holders[row.receipt]
    mine = [each for each in holders if each.mpesa_shortcode == comparison.shortcode]
    for attempt in holders:
        if attempt not in mine or len(mine) > 1:
            yield _about(
                attempt,
                row,
                DifferenceKind.WRONG_PARTNER,
                f"Receipt {row.receipt} is in the statement of shortcode {comparison.shortcode}; "
                f"partner {attempt.partner.slug} (shortcode {attempt.mpesa_shortcode}) holds it",
            )
    if len(mine) == 1:
        yield from _against(mine[0], row)


def _against(attempt: DisbursementRequest, row: StatementRow) -> Iterator[Difference]:
    if not row.moved_money:
        if attempt.status in MONEY_MOVED:
            said = f"The statement shows receipt {row.receipt} as {row.status}, and we hold it paid"
            yield _about(attempt, row, DifferenceKind.RECORDED_NOT_PAID, said)
        return
    if row.amount != attempt.amount:
        yield _about(
            attempt,
            row,
            DifferenceKind.AMOUNT_DIFFERS,
            f"M-Pesa paid KES {row.amount}, and we asked for {attempt.amount}",
            amount=row.amount - attempt.amount,
            ours=str(attempt.amount),
            mpesa=str(row.amount),
        )
    if names_phone(row.party, attempt.msisdn) is False:
        said = f"The statement names another phone number for receipt {row.receipt}"
        yield _about(attempt, row, DifferenceKind.PHONE_DIFFERS, said)


def _absent(
    comparison: Comparison,
    ours: Iterable[DisbursementRequest],
    finding: MpesaFinding,
    *,
    now: datetime,
) -> list[DisbursementRequest]:
    """Return our payments that the statement should show, and does not."""
    named = {row.receipt for row in comparison.statement.rows if row.kind == RowKind.PAYOUT}
    unread = {row.receipt for row in comparison.statement.unreadable}
    period = _period(comparison, now=now)
    absent = []
    for attempt in ours:
        if attempt.transaction_receipt in named:
            continue
        if attempt.transaction_receipt not in unread and _is_covered(attempt, *period):
            absent.append(attempt)
        else:
            finding.uncovered.add(attempt.pk)
    return absent


def _period(comparison: Comparison, *, now: datetime) -> tuple[datetime, datetime]:
    """What the statement speaks for: the period in its head, or else the days compared.

    Of today it speaks up to its last row only: it was exported before the day was over.
    """
    statement, window = comparison.statement, comparison.window
    start, end = window.start, window.end
    if statement.from_at is not None and statement.to_at is not None:
        start, end = max(statement.from_at, start), min(statement.to_at, end)
    today = start_of_day(timezone.localdate(now))
    if end > today:
        last = max((row.at for row in statement.rows), default=start)
        end = min(end, max(last, today))
    return start, end


def _is_covered(attempt: DisbursementRequest, start: datetime, end: datetime) -> bool:
    """M-Pesa's own time decides; ours, where it told none, may be days after the payment."""
    is_our_time = attempt.transaction_completed_at in {None, attempt.paid_at}
    began = attempt.first_sent_at or attempt.created_at if is_our_time else moved_at(attempt)
    return start <= began and moved_at(attempt) <= end


def _explained(
    comparison: Comparison, unmatched: list[StatementRow], absent: list[DisbursementRequest]
) -> Iterator[Difference]:
    """Every payment that only one book holds, with what it may belong to in the other."""
    suggestions = Suggestions(
        comparison.partners,
        shortcode=comparison.shortcode,
        rows=unmatched,
        absent={each.pk for each in absent},
        slug=comparison.slug,
    )
    for row in unmatched:
        yield from suggestions.explain(row)
    for attempt in absent:
        if attempt.pk not in suggestions.taken:
            is_recorded = attempt.status == AttemptStatus.COMPLETED
            kind = (
                DifferenceKind.RECORDED_NOT_PAID
                if is_recorded
                else DifferenceKind.RECEIPT_MISSING_IN_STATEMENT
            )
            where = "recorded in Mifos X" if is_recorded else "paid with us"
            receipt = attempt.transaction_receipt
            said = f"Receipt {receipt} is {where}, and the statement lacks it"
            facts = {"mpesa": "not in the statement", "is_quiet": is_struck(receipt)}
            yield _about(attempt, None, kind, said, **facts)


def _reversals(comparison: Comparison) -> Iterator[Difference]:
    paid_here = {row.receipt for row in comparison.statement.rows if row.kind == RowKind.PAYOUT}
    for receipt, row in comparison.reversed_receipts.items():
        if not comparison.window.holds(row.at):
            continue
        for attempt in comparison.holders.get(receipt, []):
            yield _about(
                attempt,
                row,
                DifferenceKind.REVERSED,
                f"M-Pesa's payment {receipt} was reversed ({row.receipt})",
                amount=row.amount,
                mpesa=f"reversed, {row.receipt}",
            )
        if receipt not in comparison.holders and receipt not in paid_here:
            yield Difference(
                kind=DifferenceKind.ORPHAN_ROW,
                said=f"Reversal {row.receipt} refers to {receipt}, which is in no book",
                partner=comparison.slug,
                amount=row.amount,
                receipt=row.receipt,
                mpesa=f"reversal of {receipt}",
                line=row.line,
            )


def _unreadable(comparison: Comparison) -> Iterator[Difference]:
    for row in comparison.statement.unreadable:
        yield Difference(
            kind=DifferenceKind.UNREADABLE_ROW,
            said=f"Line {row.line} of the statement: {row.why}",
            partner=comparison.slug,
            line=row.line,
        )


def _about(
    attempt: DisbursementRequest,
    row: StatementRow | None,
    kind: DifferenceKind,
    said: str,
    **facts: Any,
) -> Difference:
    defaults: dict[str, Any] = {
        "amount": attempt.amount,
        "ours": str(attempt.status),
        "mpesa": f"{row.status or 'completed'}, {row.receipt}" if row else "",
    }
    return Difference(
        kind=kind,
        said=said,
        partner=attempt.partner.slug,
        loan=attempt.loan_tracking,
        attempt_id=attempt.pk,
        receipt=attempt.transaction_receipt,
        line=row.line if row else None,
        **{**defaults, **facts},
    )
