"""`manage.py reconcile`: compares the three books."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from disbursements.presenting import check_partners
from disbursements.reconcile.orders import WrongOrder, order_from
from disbursements.reconcile.presenting import as_document, as_text, summary
from disbursements.reconcile.run import reconcile
from disbursements.reconcile.window import day_named
from disbursements.statement import WrongStatement, read_statement


class Command(BaseCommand):
    help = "Compare M-Pesa's book, ours and Mifos X's. Without dates: yesterday and today."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--partner", action="append", default=[], metavar="SLUG", help="only this; repeatable"
        )
        when = "today, yesterday or YYYY-MM-DD"
        parser.add_argument("--date", type=_day, metavar="DAY", help=f"one day: {when}")
        parser.add_argument("--from", type=_day, metavar="DAY", dest="first", help=when)
        parser.add_argument("--to", type=_day, metavar="DAY", dest="last", help=when)
        parser.add_argument("--statement", type=Path, metavar="FILE", help="M-PESA statement, CSV")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("-n", "--dry-run", action="store_true", help="write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        check_partners(options["partner"])
        now = timezone.now()
        try:
            file = options["statement"]
            order = order_from(
                partners=options["partner"],
                day=options["date"],
                first=options["first"],
                last=options["last"],
                statement=read_statement(file) if file else None,
                dry_run=options["dry_run"],
                today=timezone.localdate(now),
            )
        except (WrongOrder, WrongStatement) as exc:
            raise CommandError(f"{exc} Nothing was done.", returncode=2) from exc
        report = reconcile(order, now=now)
        document = json.dumps(as_document(report), indent=2) if options["json"] else None
        self.stdout.write(document or as_text(report))
        if summary(report):
            self.stderr.write(summary(report))
        if report.errors:
            said = "; ".join(f"{slug}: {error}" for slug, error in report.errors.items())
            raise CommandError(f"Could not serve {said}", returncode=1)
        if report.breaches:
            raise CommandError("No partner can be served while payouts are stopped.", returncode=1)


def _day(text: str) -> date:
    try:
        return day_named(text, today=timezone.localdate())
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} is not today, yesterday or YYYY-MM-DD") from exc
