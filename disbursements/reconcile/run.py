"""One comparison of the three books, partner by partner. It reads, and moves no money."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from disbursements.models import DisbursementRequest
from disbursements.reconcile.cases import (
    Case,
    cases_of,
    open_attempts,
    paid_in,
    read_again,
    waiting_list,
)
from disbursements.reconcile.coherence import breaches
from disbursements.reconcile.differences import Difference
from disbursements.reconcile.follow_up import follow_up, stop_payouts
from disbursements.reconcile.mifos_book import MifosFinding, compare_with_mifos
from disbursements.reconcile.mpesa_book import MpesaFinding, compare_with_statement
from disbursements.reconcile.proofs import held_twice, unproven
from disbursements.reconcile.report import Book, Reconciliation, StatementFacts
from disbursements.reconcile.window import Window
from disbursements.statement import Statement
from mifos.client import LoanDetail, MifosClient, MifosError, MifosNotFound
from partners.gateways import NotConfigured, mifos_client
from partners.models import Partner
from partners.overlap import leave_database, overlap

logger = logging.getLogger(__name__)
MOST_PARTNERS_AT_ONCE = 32
READINGS = 3  # of a loan that a pass is at work on
UNREAD_BEFORE_GIVING_UP = 5  # loans of one partner: a Mifos X that is down costs a time-out each


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to compare. `shortcode` is the statement's, settled before."""

    partners: tuple[Partner, ...]
    window: Window
    statement: Statement | None = None
    shortcode: str = ""
    dry_run: bool = False


@dataclass(kw_only=True, slots=True)
class PartnerReading:
    """What Mifos X said about one partner's loans. `error` is set when it did not say all."""

    slug: str
    error: str = ""
    finding: MifosFinding = field(default_factory=MifosFinding)
    unread: int = 0  # loans


def reconcile(order: Order, *, now: datetime) -> Reconciliation:
    """Compare the books. Unless it is a dry run, people are called to what differs."""
    report = Reconciliation(window=order.window, at=now, is_rehearsal=order.dry_run)
    report.partners = [partner.slug for partner in order.partners]
    paid = paid_in(order.window, order.partners)
    report.loanpoll = Book.of(paid)
    report.no_verdict = open_attempts(order.partners)
    uncovered = _compare_mpesa(order, paid, report, now=now)
    recorded = _compare_mifos(order, paid, report)
    report.differences = _in_order(report.differences)
    unequal = uncovered | {each.attempt_id for each in report.differences if each.attempt_id}
    report.matched = Book.of(each for each in paid if each.pk in recorded - unequal)
    report.breaches = list(breaches(order.window))
    if not order.dry_run:
        follow_up(report.differences, now=now)
        if report.breaches:
            stop_payouts(report.breaches, now=now)
    return report


def _compare_mpesa(
    order: Order, paid: list[DisbursementRequest], report: Reconciliation, *, now: datetime
) -> set[int]:
    """Fill M-Pesa's book; return the attempts outside the statement's period."""
    problems = list(unproven(paid))
    report.differences += problems
    report.differences += held_twice(paid)
    without_proof = {each.attempt_id for each in problems}
    proven = [each for each in paid if each.pk not in without_proof]
    if order.statement is None:
        report.mpesa = Book.of(proven)
        return set()
    found = compare_with_statement(
        order.statement,
        order.window,
        shortcode=order.shortcode,
        partners=order.partners,
        paid=paid,
        now=now,
    )
    report.statement = _facts(order.statement, order.shortcode, found)
    report.differences += found.differences
    elsewhere = [each for each in proven if each.mpesa_shortcode != order.shortcode]
    report.mpesa = Book.of(elsewhere)
    report.mpesa.payments += found.payments
    report.mpesa.amount += found.amount
    report.uncovered = len(found.uncovered)
    return found.uncovered


def _compare_mifos(
    order: Order, paid: list[DisbursementRequest], report: Reconciliation
) -> set[int]:
    """Fill Mifos X's book; return the attempts that stand recorded in it."""

    def read(partner: Partner) -> PartnerReading:
        return read_partner(partner, order.window)

    workers = max(1, min(len(order.partners), MOST_PARTNERS_AT_ONCE))
    readings = list(overlap(read, order.partners, workers=workers))
    recorded: dict[int, Decimal] = {}
    for reading in readings:
        report.differences += reading.finding.differences
        recorded |= reading.finding.recorded
        if reading.error:
            report.errors[reading.slug] = reading.error
    there = [each for each in paid if each.pk in recorded]
    report.mifos = Book.of(there)
    report.mifos.principal = sum((recorded[each.pk] for each in there), Decimal(0))
    return set(recorded)


def read_partner(partner: Partner, window: Window) -> PartnerReading:
    """Read one partner's loans in Mifos X. What goes wrong is told, and stops no other partner."""
    reading = PartnerReading(slug=partner.slug)
    try:
        mifos = mifos_client(partner)
        waiting = waiting_list(mifos)
        for cases in cases_of(partner, window, waiting=waiting):
            _read_cases(partner, cases, mifos, reading)
    except (MifosError, NotConfigured) as exc:
        reading.error = reading.error or str(exc)
    except Exception:
        logger.exception("the books of partner %s could not be compared", partner.slug)
        reading.error = "The comparison failed inside Loan Poll; see the log"
    return reading


def _read_cases(
    partner: Partner, cases: list[Case], mifos: MifosClient, reading: PartnerReading
) -> None:
    def look(case: Case) -> tuple[Case, MifosFinding | MifosError]:
        try:
            return case, _look(case, mifos)
        except MifosError as exc:
            return case, exc

    def while_it_answers() -> Iterator[Case]:
        yield from itertools.takewhile(lambda _: reading.unread < UNREAD_BEFORE_GIVING_UP, cases)

    results = 0
    for case, found in overlap(look, while_it_answers(), workers=partner.mifos_concurrency):
        results += 1
        if isinstance(found, MifosFinding):
            reading.finding.differences += found.differences
            reading.finding.recorded |= found.recorded
        else:
            reading.unread += 1
            reading.error = f"Not every loan could be read, among them {case.loan_id}: {found}"
    if results < len(cases):
        reading.error = reading.error or "Not every loan could be compared; see the log"


def _look(case: Case, mifos: MifosClient) -> MifosFinding:
    """Compare one loan. A difference counts if our rows are the same after Mifos X was read: a
    pass may have paid or recorded the loan in between."""
    found = MifosFinding()
    for _ in range(READINGS):
        found = compare_with_mifos(case, _detail(case, mifos))
        if not found.differences:
            return found
        again = read_again(case)
        if again.stand == case.stand:
            return found
        case = again
    return found


def _detail(case: Case, mifos: MifosClient) -> LoanDetail | None:
    leave_database()
    try:
        return mifos.loan(case.loan_id)
    except MifosNotFound:
        return None


def _facts(statement: Statement, shortcode: str, found: MpesaFinding) -> StatementFacts:
    return StatementFacts(
        name=statement.name,
        sha256=statement.sha256,
        shortcode=shortcode,
        rows=len(statement.rows) + len(statement.unreadable),
        charges=found.charges,
        reversals=found.reversals,
    )


def _in_order(differences: Iterable[Difference]) -> list[Difference]:
    """Each difference once, partner by partner and loan by loan."""
    once = {difference.key: difference for difference in differences}
    return sorted(
        once.values(),
        key=lambda each: (each.partner, each.loan.loan_id if each.loan else 0, each.kind),
    )
