"""`manage.py test_loan_polling_system`: checks everything a payout needs, and pays nothing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from disbursements.check_report import as_json, as_text
from disbursements.checking import check_system


class Command(BaseCommand):
    help = "Check the installation and every partner's Mifos X and M-Pesa access without paying."
    requires_system_checks = ()  # they are lines of the table

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--partner", action="append", default=[], metavar="SLUG", help="only this; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        report = check_system(now=now, slugs=options["partner"])
        self.stdout.write((as_json if options["json"] else as_text)(report, now=now))
        if report.exit_code:
            raise CommandError("Not everything is in order.", returncode=report.exit_code)
