"""Doubts what a restored backup says was never sent (docs/runbook/restore.md)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from disbursements.restore import doubt_unsent
from partners.management.actors import active_user
from partners.management.database import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Run once after restoring a backup, with cron and workers stopped: M-Pesa is asked first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", required=True, help="your user name; kept in the history")

    def handle(self, *args: Any, actor: str, **options: Any) -> None:
        doubted = doubt_unsent(actor=active_user(actor).get_username(), now=timezone.now())
        self.stdout.write(
            f"{doubted} unsent payments are unknown now: "
            "M-Pesa is asked about each before anything is sent again."
        )
