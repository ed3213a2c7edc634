"""How a comparison is told: a table and next steps for people, one JSON document for programs."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rich.console import Console
from rich.table import Table

from disbursements.models import DisbursementRequest
from disbursements.reconcile.differences import Difference
from disbursements.reconcile.report import Book, Reconciliation

SCHEMA = "loanpoll.reconcile/1"
WIDTH_WITHOUT_TERMINAL = 140
MOST_OPEN_SHOWN = 20


def as_text(report: Reconciliation) -> str:
    """Return the comparison for people."""
    parts = [
        f"Books of {report.window} (EAT), {', '.join(report.partners) or 'no partner'}\n\n",
        "DRY RUN: nothing is written, nobody is called.\n\n" if report.is_rehearsal else "",
        _totals(report),
        _statement(report),
        "\n",
        *_breaches(report),
        _differences(report),
        *_no_verdict(report),
        *(f"{slug} could not be read: {error}\n" for slug, error in report.errors.items()),
    ]
    return "".join(parts)


def summary(report: Reconciliation) -> str:
    """Return one line for cron's mail, or the empty text when nobody is needed."""
    found = []
    if report.breaches:
        stops = "would stop" if report.is_rehearsal else "stopped"
        found.append(f"{len(report.breaches)} breach(es) in our own book: all payouts {stops}")
    if report.differences:
        found.append(f"{len(report.differences)} difference(s) between the books")
    return f"{report.window}: {'; '.join(found)}." if found else ""


def as_document(report: Reconciliation) -> dict[str, Any]:
    """Return the comparison for programs. Amounts are text, times carry their offset."""
    return {
        "schema": SCHEMA,
        "at": _moment(report.at),
        "success": report.success,
        "dryRun": report.is_rehearsal,
        "from": report.window.first.isoformat(),
        "to": report.window.last.isoformat(),
        "partners": report.partners,
        "totals": {
            "loanPoll": _book(report.loanpoll),
            "mpesa": {
                "source": "statement" if report.statement else "evidence",
                **_book(report.mpesa, has_principal=False),
            },
            "mifos": _book(report.mifos),
        },
        "matched": _book(report.matched),
        "differences": [_difference(each) for each in report.differences],
        "noVerdict": [_open(each, report.at) for each in report.no_verdict],
        "statement": _statement_document(report),
        "breaches": [
            {
                "partner": each.partner,
                "loanTrackingId": each.loan_tracking_id,
                "loanId": each.loan_id,
                "problem": each.problem,
            }
            for each in report.breaches
        ],
        "errors": [{"partner": slug, "error": error} for slug, error in report.errors.items()],
    }


def _totals(report: Reconciliation) -> str:
    mpesa = "M-Pesa, statement" if report.statement else "M-Pesa, by its results"
    table = _table("Book", ">Payments", ">KES to clients", ">KES principal")
    for name, book, has_principal in (
        ("Loan Poll paid", report.loanpoll, True),
        (mpesa, report.mpesa, False),
        ("Mifos X recorded", report.mifos, True),
        ("Matched in all three", report.matched, True),
    ):
        principal = kes(book.principal) if has_principal else ""
        table.add_row(name, str(book.payments), kes(book.amount), principal)
    return _rendered(table)


def _statement(report: Reconciliation) -> str:
    facts = report.statement
    if facts is None:
        return ""
    text = (
        f"\nStatement {facts.name}: {facts.rows} lines of shortcode {facts.shortcode}, charges KES "
        f"{kes(facts.charges)}, reversals KES {kes(facts.reversals)}, sha256 {facts.sha256[:12]}\n"
    )
    if report.uncovered:
        text += (
            f"{report.uncovered} payment(s) lie outside the statement's period, or in a line of it "
            "that cannot be read.\n"
        )
    return text


def _breaches(report: Reconciliation) -> Iterator[str]:
    if report.breaches:
        stops = "would be" if report.is_rehearsal else "are"
        yield (
            f"OUR OWN BOOK IS BROKEN: all payouts {stops} stopped. Next: manage.py verify_audit; "
            "when it is explained: manage.py resume --all\n"
        )
        for each in report.breaches:
            yield f"  loan {each.loan_id} of {each.partner}: {each.problem}\n"
        yield "\n"


def _differences(report: Reconciliation) -> str:
    if not report.differences:
        return "No differences.\n"
    table = _table("Kind", "Partner", "Loan", ">KES", "Loan Poll", "M-Pesa", "Mifos X")
    for each in report.differences:
        loan = str(each.loan.loan_id) if each.loan else "-"
        amount = kes(each.amount) if each.amount is not None else ""
        table.add_row(
            each.kind.label, each.partner, loan, amount, each.ours, each.mpesa, each.mifos
        )
    steps = dict.fromkeys(each.kind for each in report.differences)
    lines = [f"Differences {len(report.differences)}\n", _rendered(table), "\nNext steps\n"]
    lines += [f"  {kind.label}: {kind.next_step}\n" for kind in steps]
    return "".join(lines)


def _no_verdict(report: Reconciliation) -> Iterator[str]:
    if not report.no_verdict:
        return
    amount = sum((each.amount for each in report.no_verdict), Decimal(0))
    yield f"\nNo verdict yet {len(report.no_verdict)}, KES {kes(amount)}; M-Pesa is being asked\n"
    for attempt in report.no_verdict[:MOST_OPEN_SHOWN]:
        yield (
            f"  loan {attempt.loan_tracking.loan_id} of {attempt.partner.slug}, KES "
            f"{kes(attempt.amount)}, {attempt.status} since {_age(attempt, report.at)}\n"
        )
    more = len(report.no_verdict) - MOST_OPEN_SHOWN
    if more > 0:
        yield f"  and {more} more\n"


def _age(attempt: DisbursementRequest, now: datetime) -> str:
    minutes = _age_seconds(attempt, now) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def _age_seconds(attempt: DisbursementRequest, now: datetime) -> int:
    since = attempt.first_sent_at or attempt.created_at
    return max(0, int((now - since).total_seconds()))


def _book(book: Book, *, has_principal: bool = True) -> dict[str, Any]:
    document = {"payments": book.payments, "amount": f"{book.amount:.2f}"}
    return document | ({"principal": f"{book.principal:.2f}"} if has_principal else {})


def _difference(each: Difference) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "title": each.kind.label,
        "partner": each.partner or None,
        "loanTrackingId": each.loan.pk if each.loan else None,
        "loanId": each.loan.loan_id if each.loan else None,
        "disbursementId": each.attempt_id,
        "amount": None if each.amount is None else f"{each.amount:.2f}",
        "receipt": each.receipt or None,
        "loanPoll": each.ours or None,
        "mpesa": each.mpesa or None,
        "mifos": each.mifos or None,
        "statementLine": each.line,
        "said": each.said,
        "nextStep": each.kind.next_step,
    }


def _open(attempt: DisbursementRequest, now: datetime) -> dict[str, Any]:
    return {
        "partner": attempt.partner.slug,
        "loanTrackingId": attempt.loan_tracking_id,
        "loanId": attempt.loan_tracking.loan_id,
        "disbursementId": attempt.pk,
        "status": attempt.status,
        "amount": f"{attempt.amount:.2f}",
        "ageSeconds": _age_seconds(attempt, now),
    }


def _statement_document(report: Reconciliation) -> dict[str, Any] | None:
    facts = report.statement
    if facts is None:
        return None
    return {
        "file": facts.name,
        "sha256": facts.sha256,
        "shortcode": facts.shortcode,
        "rows": facts.rows,
        "charges": f"{facts.charges:.2f}",
        "reversals": f"{facts.reversals:.2f}",
        "paymentsOutsidePeriod": report.uncovered,
    }


def kes(amount: Decimal) -> str:
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"


def _moment(at: datetime) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left"
        )
    return table


def _rendered(table: Table) -> str:
    columns = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns
    text = io.StringIO()
    Console(file=text, width=max(columns, 100), color_system=None, markup=False).print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
