"""How the commands speak: tables for people, one JSON document for programs, exit codes."""

from __future__ import annotations

import io
import json
import logging
import shutil
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from disbursements.api import answers
from disbursements.models import TriggeredBy
from disbursements.reports import (
    FetchReport,
    LoanOutcome,
    LoanReport,
    PartnerProcess,
    ProcessReport,
    SyncReport,
)
from loans.fetch import PartnerFetch
from loans.models import LoanTracking
from partners.management.database import unusable_database
from partners.models import Partner

Report = TypeVar("Report", FetchReport, ProcessReport, SyncReport)
Options = dict[str, Any]

WIDTH_WITHOUT_TERMINAL = 120
WAITS = {
    LoanOutcome.PROCESSING: "accepted by M-Pesa, result not here yet",
    LoanOutcome.UNKNOWN: "outcome unknown, M-Pesa is being asked",
}
WOULD = {LoanOutcome.WOULD_PAY: "pay", LoanOutcome.HELD: "wait"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One partner in the table of a pass."""

    name: str
    slug: str
    approved: int = 0
    new: int = 0
    paid: int = 0
    kes: Decimal = Decimal(0)
    waiting: int = 0
    review: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""
    gate: str = ""


def add_arguments(parser: CommandParser, *names: str) -> None:
    """Add the options every pass has, and those in `names`."""
    parser.add_argument(
        "--partner", action="append", default=[], metavar="SLUG", help="only this one; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    extra: dict[str, dict[str, Any]] = {
        "dry-run": {"action": "store_true", "help": "say what would be paid and why not; no write"},
        "limit": {
            "type": _above_zero,
            "metavar": "N",
            "help": "send at most N payouts of a partner",
        },
        "loan": {"type": _above_zero, "metavar": "ID", "help": "only this loan of Mifos X"},
        "budget": {
            "type": _seconds,
            "metavar": "SECONDS",
            "help": "after so long take no new work; what is begun is finished",
        },
        "wait": {
            "type": _seconds,
            "default": 0.0,
            "metavar": "SECONDS",
            "help": "wait at most so long for the results of what was sent",
        },
        "cron": {"action": "store_true", "help": "print nothing unless a partner is not served"},
    }
    for name in names:
        short = ["-n"] if name == "dry-run" else []
        parser.add_argument(*short, f"--{name}", **extra[name])


def run(command: BaseCommand, work: Callable[..., Report], options: Options) -> Report:
    """Return the report of a pass over the partners named. Exit code 2 when it cannot begin."""
    check_partners(options["partner"])
    _quieten_logs(options)
    with _spinner(command, options):
        return work(triggered_by=TriggeredBy.SCHEDULE, partners=tuple(options["partner"]))


def check_partners(slugs: Iterable[str]) -> None:
    """Stop with exit code 2 when a slug is not known, or the database cannot be used."""
    try:
        known = set(Partner.objects.values_list("slug", flat=True))
    except DatabaseError as exc:
        raise unusable_database(exc) from exc
    unknown = sorted(set(slugs) - known)
    if unknown:
        names = ", ".join(sorted(known)) or "none yet; next: manage.py load_partners FILE"
        said = f"No partner '{', '.join(unknown)}'. Partners: {names}. Nothing was done."
        raise CommandError(said, returncode=2)


def show_fetch(command: BaseCommand, report: FetchReport, options: Options) -> None:
    """Print what a fetch did."""
    rows = list(_rows(report.results, []))
    columns = ("approved", "new", "seconds")
    text = _heading("Fetch") + _table(rows, columns) + _cut_lists(report)
    _print(command, options, "loanpoll.fetch/1", answers.fetch_answer(report), rows, text)
    _stop_on_trouble(report.results)


def show_process(command: BaseCommand, report: ProcessReport, options: Options) -> None:
    """Print what was paid and why the rest was not, or, in a dry run, what would be."""
    rows = list(_rows([], report.results))
    columns = ("paid", "kes", "waiting", "review", "failed", "seconds")
    if options["dry_run"]:
        body = dry_run_text(report, _run_it("process_pending_loans", options))
    else:
        body = _table(rows, columns)
        body += _named_loan(options) if options.get("loan") else _reasons(report)
    text = _heading("Process") + body
    answer = _complete(answers.process_answer(report), report)
    _print(command, options, "loanpoll.process/1", answer, rows, text)
    _stop_on_trouble(report.results)


def show_sync(command: BaseCommand, report: SyncReport, options: Options) -> None:
    """Print a whole pass."""
    rows = list(_rows(report.fetch.results, report.process.results))
    # A dry run fetches nothing, so it has no numbers of its own for Mifos X's list.
    columns = ("waiting", "review", "seconds") if options["dry_run"] else SYNC_COLUMNS
    body = _table(rows, columns)
    if options["dry_run"]:
        body += dry_run_text(report.process, _run_it("scheduled_loan_sync", options))
    else:
        body += _cut_lists(report.fetch) + _reasons(report.process)
    text = _heading(f"Sync {report.run_id or ''}".strip(), report.started_at) + body
    answer = answers.sync_answer(report)
    _complete(answer["details"]["processResults"], report.process)
    _print(command, options, "loanpoll.sync/1", answer, rows, text)
    _stop_on_trouble([*report.fetch.results, *report.process.results])


SYNC_COLUMNS = ("approved", "new", "paid", "kes", "waiting", "review", "failed", "seconds")


def _run_it(command: str, options: Options) -> str:
    """Return the command that pays what was rehearsed, and no more."""
    asked = [("partner", slug) for slug in options["partner"]]
    asked += [(name, options[name]) for name in ("loan", "limit", "budget") if options.get(name)]
    return " ".join([command, *(f"--{name} {value}" for name, value in asked)])


def dry_run_text(report: ProcessReport, command: str) -> str:
    """Return what `command` would pay, and why not, loan by loan."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in DRY_RUN_COLUMNS:
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # a literal, in a table
    for loan in report.loans:
        table.add_row(
            str(loan.loan_id),
            loan.client_name,
            local_masked(loan.phone_number),
            _kes(loan.amount),
            WOULD.get(loan.outcome, str(loan.outcome)),
            loan.reason,
        )
    ready = [loan for loan in report.loans if loan.outcome == LoanOutcome.WOULD_PAY]
    kes = answers.total(ready, LoanOutcome.WOULD_PAY)
    lines = [
        "DRY RUN: nothing is sent, nothing is written.\n",
        _rendered(table) if report.loans else "",
        *_gates(report),
        f"Would pay {_count(len(ready), 'loan')}, KES {_kes(kes)}.",
        "The time ended before all were looked at." if report.has_more else "",
        f"Run it: manage.py {command}" if ready else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


DRY_RUN_COLUMNS = (
    ("Loan", "left"),
    ("Client", "left"),
    ("Phone", "left"),
    ("Amount", "right"),
    ("Would", "left"),
    ("Why", "left"),
)


def show_key(
    command: BaseCommand, key: str, *, name: str, partner: str | None, as_json: bool
) -> None:
    """Print a new API key: the key on stdout, what to know about it on stderr."""
    if as_json:
        document = {"schema": "loanpoll.api-key/1", "name": name, "partner": partner, "key": key}
        command.stdout.write(json.dumps(document, indent=2))
        return
    command.stdout.write(key)
    command.stderr.write(
        f"Key of {name} for {partner or 'every partner'}. It is not shown again.\n"
        "Send it as: Authorization: Bearer KEY. Revoke it in /admin/."
    )


def local_masked(phone: str) -> str:
    """Return `0722***114`, which staff can say on the phone without giving the number away."""
    local = f"0{phone[3:]}" if phone.startswith("254") else phone
    return f"{local[:4]}***{local[-3:]}" if len(local) >= 9 else "***" if local else ""


def _rows(fetched: list[PartnerFetch], processed: list[PartnerProcess]) -> Iterator[Row]:
    polls = {result.slug: result for result in fetched}
    works = {result.slug: result for result in processed}
    reviews = Counter(
        LoanTracking.objects.exclude(review_reason="").values_list("partner__slug", flat=True)
    )
    for slug in dict.fromkeys([*polls, *works]):
        yield _row(slug, polls.get(slug), works.get(slug), review=reviews[slug])


def _row(slug: str, poll: PartnerFetch | None, work: PartnerProcess | None, *, review: int) -> Row:
    poll = poll or PartnerFetch(partner=work.partner if work else slug, slug=slug)
    work = work or PartnerProcess(partner=poll.partner, slug=slug)
    outcomes = Counter(loan.outcome for loan in work.loans)
    return Row(
        name=poll.partner,
        slug=slug,
        approved=poll.approved,
        new=poll.new_loans,
        paid=work.paid,
        kes=answers.total(work.loans, LoanOutcome.PAID),
        waiting=_held(work, outcomes) + sum(outcomes[outcome] for outcome in WAITS),
        review=review,
        failed=outcomes[LoanOutcome.FAILED],
        seconds=poll.seconds + work.seconds,
        error=poll.error or work.error,
        gate=work.waiting_because,
    )


def _held(work: PartnerProcess, outcomes: Counter[LoanOutcome]) -> int:
    """Count every loan that waits, seen in this pass or not; a dry run knows only those it saw."""
    return sum(work.waiting.values()) or outcomes[LoanOutcome.HELD]


def _heading(name: str, started_at: datetime | None = None) -> str:
    at = timezone.localtime(started_at or timezone.now())
    return f"{name} at {at:%H:%M:%S} EAT\n\n"


def _table(rows: list[Row], columns: tuple[str, ...]) -> str:
    if not rows:
        return "No active partners found\n"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_footer=len(rows) > 1)
    table.add_column("Partner", footer="total", no_wrap=True)
    for column in columns:
        everything = sum((getattr(row, column) for row in rows), type(getattr(rows[0], column))(0))
        table.add_column(TITLES[column], _cell(everything), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.slug, *(_cell(getattr(row, column)) for column in columns))
    notes = [f"{row.slug} could not be served: {row.error}" for row in rows if row.error]
    notes += [
        f"Next: manage.py test_loan_polling_system --partner {r.slug}" for r in rows if r.error
    ]
    return _rendered(table) + "".join(f"{note}\n" for note in ["", *notes])


TITLES = {
    "approved": "Approved",
    "new": "New",
    "paid": "Paid",
    "kes": "KES",
    "waiting": "Waiting",
    "review": "Review",
    "failed": "Failed",
    "seconds": "Time",
}


def _reasons(report: ProcessReport) -> str:
    """Return why what was not paid waits or failed, in words, and what to do next."""
    reasons = Counter(_reason(loan) for loan in report.loans if loan.outcome in WAITS)
    for result in report.results:
        reasons.update(result.waiting)
    failed = [loan for loan in report.loans if loan.outcome == LoanOutcome.FAILED]
    slugs = [result.slug for result in report.results]
    in_review = LoanTracking.objects.exclude(review_reason="")
    reviews = in_review.filter(partner__slug__in=slugs).count()
    lines = list(_gates(report))
    lines += [f"Waiting {number}: {words}." for words, number in reasons.most_common()]
    lines += [
        f"Failed: loan {loan.loan_id} KES {_kes(loan.amount)}, {loan.reason}." for loan in failed
    ]
    if reviews:
        page = f"{settings.PUBLIC_BASE_URL}/loan-tracking"
        need = "1 loan needs" if reviews == 1 else f"{reviews} loans need"
        lines.append(f"Review {reviews}: {need} a person. See: {page}")
    if report.has_more:
        lines.append("The time ended before the work did; the next pass goes on.")
    return "".join(f"{line}\n" for line in lines)


def _cut_lists(report: FetchReport) -> str:
    cut = (result.slug for result in report.results if result.has_more)
    return "".join(f"{slug}: the time ended before Mifos X's list did.\n" for slug in cut)


def _named_loan(options: Options) -> str:
    """Return how the loan that was asked for stands now, at each partner who has one."""
    loans = LoanTracking.objects.filter(
        loan_id=options["loan"], partner__slug__in=options["partner"]
    ).select_related("partner")
    return "".join(
        f"Loan {loan.loan_id} of {loan.partner.slug}: {loan.get_status_display()}"
        f"{_standing_reason(loan)}.\n"
        for loan in loans.order_by("partner__slug", "cycle")
    )


def _standing_reason(loan: LoanTracking) -> str:
    words = loan.error_message or loan.get_hold_reason_display() or loan.mpesa_receipt_number
    return f", {words.rstrip('.')}" if words else ""


def _gates(report: ProcessReport) -> Iterator[str]:
    for result in report.results:
        if result.waiting_because:
            yield f"{result.slug} waits: {result.waiting_because}."


def _reason(loan: LoanReport) -> str:
    return WAITS.get(loan.outcome) or loan.reason.rstrip(".") or "no reason given"


def _complete(answer: answers.Answer, report: ProcessReport) -> answers.Answer:
    """Add to each loan what the API leaves out."""
    for shown, loan in zip(answer["results"], report.loans, strict=True):
        shown |= {"clientName": loan.client_name, "phoneNumber": local_masked(loan.phone_number)}
    return answer


def _print(
    command: BaseCommand,
    options: Options,
    schema: str,
    answer: answers.Answer,
    rows: list[Row],
    text: str,
) -> None:
    if options["json"]:
        document = {"schema": schema, "at": answers.timestamp(timezone.now()), **answer}
        document["partners"] = [_partner_document(row) for row in rows]
        command.stdout.write(json.dumps(document, indent=2))
    elif not options.get("cron") or any(row.error for row in rows):
        command.stdout.write(text)


def _partner_document(row: Row) -> dict[str, Any]:
    return {
        "partner": row.name,
        "partnerSlug": row.slug,
        "approved": row.approved,
        "new": row.new,
        "paid": row.paid,
        "amount": str(row.kes),
        "waiting": row.waiting,
        "review": row.review,
        "failed": row.failed,
        "seconds": round(row.seconds, 3),
        "error": row.error or None,
        "waitingBecause": row.gate or None,
    }


def _stop_on_trouble(results: Iterable[PartnerFetch | PartnerProcess]) -> None:
    """Raise exit code 1 when a partner could not be served."""
    errors = {result.slug: result.error for result in results if result.error}
    if errors:
        said = "; ".join(f"{slug}: {error}" for slug, error in errors.items())
        raise CommandError(f"Could not serve {said}", returncode=1)


def _rendered(table: Table) -> str:
    terminal = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns
    text = io.StringIO()
    console = Console(file=text, width=max(terminal, 80), color_system=None, markup=False)
    console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


@contextmanager
def _spinner(command: BaseCommand, options: Options) -> Iterator[None]:
    quiet = options.get("cron") or options["json"]
    if quiet or not command.stderr.isatty():
        yield
        return
    with Console(stderr=True).status("Asking Mifos X and M-Pesa…"):
        yield


def _quieten_logs(options: Options) -> None:
    """Keep the terminal, and cron's mail, for what the command itself says."""
    if options.get("verbosity", 1) < 2:
        level = logging.CRITICAL if options.get("cron") else logging.WARNING
        logging.getLogger().setLevel(level)


def _cell(value: float | Decimal | int) -> str:
    match value:
        case Decimal():
            return _kes(value)
        case float():
            return f"{value:.1f}s"
        case _:
            return str(value)


def _kes(amount: Decimal | None) -> str:
    if amount is None:
        return ""
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short_name(text: str) -> str:
    """Return the name of an API key, for argparse."""
    if not 1 <= len(text.strip()) <= 50:
        raise ValueError(text)
    return text.strip()


def _above_zero(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0, such as 10")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, such as 240")
    return seconds
