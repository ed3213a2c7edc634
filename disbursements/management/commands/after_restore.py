"""Doubts what a restored backup says was not sent or paid (docs/runbook/restore.md)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from disbursements.restore import (
    doubt_unsent,
    hold_unpaid,
    not_read_since,
    withdraw_old_proposals,
)
from partners.management.actors import active_user
from partners.management.database import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Run once after restoring a backup, with cron, workers and the site stopped, and after "
        "fetch_pending_loans: M-Pesa is asked first, and unpaid loans are held."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", required=True, help="your user name; kept in the history")

    def handle(self, *args: Any, actor: str, **options: Any) -> None:
        user, now = active_user(actor), timezone.now()
        name = user.get_username()
        doubted = doubt_unsent(actor=name, now=now)
        withdrawn = withdraw_old_proposals(by=user, now=now)
        held = hold_unpaid(actor=name, now=now)
        self.stdout.write(
            f"{doubted} unsent payments are unknown now: "
            "M-Pesa is asked about each before anything is sent again."
        )
        self.stdout.write(f'{withdrawn} open proposals "not paid" were withdrawn.')
        self.stdout.write(
            f"{held} unpaid loans are held until somebody releases them: "
            "compare them with the M-PESA statement first."
        )
        self._name_the_unread(not_read_since(now))

    def _name_the_unread(self, slugs: list[str]) -> None:
        if slugs:
            self.stdout.write(
                f"NOT READ: {', '.join(slugs)}. What was approved there since the backup is not "
                "held: run fetch_pending_loans until it is read, then this command again, before "
                "anything is paid."
            )
