"""Lets payouts go on, of one partner or of all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from partners.management.switch import add_switch_arguments, partners_named
from partners.pausing import resume_all, resume_partner


class Command(BaseCommand):
    help = "Let payouts go on. --all lifts the stop of all; partners paused by name stay paused."

    def add_arguments(self, parser: CommandParser) -> None:
        add_switch_arguments(parser)

    def handle(self, *args: Any, actor: str, reason: str, **options: Any) -> None:
        now = timezone.now()
        if options["all"]:
            done = resume_all(by=actor, reason=reason, now=now)
            self.stdout.write(f"all partners: {'resumed' if done else 'were not paused'}")
        for partner in partners_named(options["partner"]):
            done = resume_partner(partner, by=actor, reason=reason, now=now)
            self.stdout.write(f"{partner.slug}: {'resumed' if done else 'was not paused'}")
