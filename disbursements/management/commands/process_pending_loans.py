"""`manage.py process_pending_loans`."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from disbursements import passes, presenting


class Command(BaseCommand):
    help = "Pay the loans that may be paid now, and settle and record what is due."

    def add_arguments(self, parser: CommandParser) -> None:
        presenting.add_arguments(parser, "dry-run", "limit", "loan", "budget", "cron")

    def handle(self, *args: Any, **options: Any) -> None:
        work = partial(
            passes.run_process,
            loan_id=options["loan"],
            limit=options["limit"],
            budget_seconds=options["budget"],
            dry_run=options["dry_run"],
        )
        presenting.show_process(self, presenting.run(self, work, options), options)
