"""Re-encrypts every stored secret with the first of FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from encryption.rotation import Unreadable, rotate_all
from partners.management.database import DatabaseCommand

MOST_NAMED = 20


class Command(DatabaseCommand):
    help = (
        "Write every encrypted value anew with the first key. Safe while the site runs, and twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="count, change nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        try:
            counts = rotate_all(dry_run=dry_run)
        except Unreadable as exc:
            named = "\n".join(f"  {value}" for value in exc.values[:MOST_NAMED])
            raise CommandError(
                f"{exc}. Put the key they were written with back into the list; nothing was "
                f"changed.\n{named}",
                returncode=2,
            ) from exc
        verb = "to rotate" if dry_run else "rotated"
        for count in counts:
            self.stdout.write(f"{count.column}: {count.rotated} {verb}, {count.current} current")
        if any(count.left for count in counts):
            raise CommandError(
                "Some values are still being written with an old key. Restart the site with the "
                "new list of keys, then run this again.",
                returncode=1,
            )
