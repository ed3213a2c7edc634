"""Stops payouts, of one partner or of all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from partners.management.database import DatabaseCommand
from partners.management.switch import add_switch_arguments, partners_named
from partners.pausing import pause_all, pause_partner


class Command(DatabaseCommand):
    help = "Stop new payouts. What is under way is still settled and recorded in Mifos X."

    def add_arguments(self, parser: CommandParser) -> None:
        add_switch_arguments(parser)

    def handle(self, *args: Any, actor: str, reason: str, **options: Any) -> None:
        now = timezone.now()
        if options["all"]:
            done = pause_all(by=actor, reason=reason, now=now)
            self.stdout.write(f"all partners: {'paused' if done else 'already paused'}")
        for partner in partners_named(options["partner"]):
            done = pause_partner(partner, by=actor, reason=reason, now=now)
            self.stdout.write(f"{partner.slug}: {'paused' if done else 'already paused'}")
