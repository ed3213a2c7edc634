"""`manage.py fetch_pending_loans`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from disbursements import passes, presenting


class Command(BaseCommand):
    help = "Read the approved loans from Mifos X and keep them. Pays nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        presenting.add_arguments(parser, "cron")

    def handle(self, *args: Any, **options: Any) -> None:
        report = presenting.run(self, passes.run_fetch, options)
        presenting.show_fetch(self, report, options)
