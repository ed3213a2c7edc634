"""`manage.py send_test_alert`: shows whether alerts arrive, before they are needed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from disbursements.alerts.saying import send_test
from disbursements.management.commands.send_alerts import NOTHING_SET


class Command(BaseCommand):
    help = "Send a test message by every way that is set up for alerts. Writes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        sayings = send_test(timezone.now())
        if not sayings:
            raise CommandError(NOTHING_SET, returncode=2)
        for saying in sayings:
            self.stdout.write(f"{saying.channel}: {saying.trouble or 'handed over'}")
        if any(saying.trouble for saying in sayings):
            raise CommandError("Not every way works; see above.", returncode=1)
