"""`manage.py send_alerts`: tells staff what has changed, also when no pass runs any more."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from disbursements.alerts.saying import Saying, say_changes
from disbursements.presenting import check_partners

NOTHING_SET = "Nobody would be told: set ALERT_EMAILS or ALERT_WEBHOOK_URL. Nothing was done."


class Command(BaseCommand):
    help = "Tell staff what needs them and what is resolved, each once. Moves no money."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cron", action="store_true", help="print nothing unless it fails")

    def handle(self, *args: Any, **options: Any) -> None:
        check_partners([])
        # The log goes to stderr, which cron mails.
        logging.getLogger().setLevel(logging.CRITICAL if options["cron"] else logging.WARNING)
        sayings = say_changes(timezone.now())
        if not sayings:
            raise CommandError(NOTHING_SET, returncode=2)
        if not options["cron"]:
            self.stdout.write("\n".join(_line(saying) for saying in sayings))
        undelivered = [f"{each.channel}: {each.trouble}" for each in sayings if each.trouble]
        if undelivered:
            raise CommandError(f"Not delivered. {'; '.join(undelivered)}", returncode=1)


def _line(saying: Saying) -> str:
    said = "not delivered, the next run tries again" if saying.trouble else "told"
    if not saying.began and not saying.over:
        said = "nothing to tell"
    return f"{saying.channel}: {saying.began} new, {saying.over} resolved: {said}"
