"""`manage.py prune`: removes what is kept for looking into trouble, once it is old enough."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from partners.exchanges import old_exchanges, remove_old
from partners.management.database import DatabaseCommand

DAYS = re.compile(r"([1-9]\d{0,4})d")


class Command(DatabaseCommand):
    help = (
        "Remove old exchanges with Mifos X. Loans, payments, callbacks and the audit trail are "
        "never removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", default="400d", metavar="400d", help="default 400d")
        parser.add_argument(
            "-n", "--dry-run", action="store_true", help="say how many, remove nothing"
        )

    def handle(self, *args: Any, older_than: str, dry_run: bool, **options: Any) -> None:
        before = timezone.now() - _age(older_than)
        if dry_run:
            count = old_exchanges(before).count()
            self.stdout.write(f"{count} exchanges with Mifos X would be removed.")
        else:
            self.stdout.write(f"{remove_old(before)} exchanges with Mifos X removed.")


def _age(text: str) -> timedelta:
    found = DAYS.fullmatch(text)
    if not found:
        said = f"--older-than is a number of days such as 400d, not {text}."
        raise CommandError(said, returncode=2)
    return timedelta(days=int(found[1]))
