"""What cron runs through django-crontab: one whole pass, silent unless a person is needed."""

from __future__ import annotations

import sys
from io import StringIO

from django.core.management import CommandError, call_command


def scheduled_loan_sync(folder: str) -> None:
    """Run one pass; what it said goes to stderr, which cron mails, only if it failed.

    `folder` tells this installation's job from another's (settings.CRONJOBS) and does nothing else.
    """
    said = StringIO()
    try:
        call_command("scheduled_loan_sync", cron=True, stdout=said, stderr=said)
    except (CommandError, SystemExit) as exc:
        if isinstance(exc, SystemExit) and not exc.code:
            return
        sys.stderr.write(f"Loan Poll in {folder}: the pass failed ({exc}).\n{said.getvalue()}")
