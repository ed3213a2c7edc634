"""`manage.py scheduled_loan_sync`: what cron calls."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from disbursements import passes, presenting


class Command(BaseCommand):
    help = "One whole pass: fetch, process, settle, ask about the silent, record the paid."

    def add_arguments(self, parser: CommandParser) -> None:
        presenting.add_arguments(parser, "dry-run", "budget", "wait", "cron")

    def handle(self, *args: Any, **options: Any) -> None:
        work = partial(
            passes.run_sync,
            budget_seconds=options["budget"],
            wait_seconds=options["wait"],
            dry_run=options["dry_run"],
        )
        presenting.show_sync(self, presenting.run(self, work, options), options)
