"""A command that cannot use the database says so before it does anything."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, ProgrammingError

from partners.models import Partner


class DatabaseCommand(BaseCommand):
    """Exit code 2, and nothing done, when the database is away or was never migrated."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            Partner.objects.exists()
        except DatabaseError as exc:
            raise unusable_database(exc) from exc
        return super().execute(*args, **options)


def unusable_database(exc: DatabaseError) -> CommandError:
    """Return what to say when the database is away, or was never migrated."""
    # PostgreSQL tells a missing table as ProgrammingError; SQLite only in words.
    is_empty = isinstance(exc, ProgrammingError) or "no such" in str(exc)
    next_step = (
        "Next: manage.py migrate"
        if is_empty
        else "Is it running? Look at DATABASE_URL. Next: manage.py test_loan_polling_system"
    )
    cause = str(exc).partition("\n")[0]
    return CommandError(
        f"The database cannot be used ({cause}). Nothing was done. {next_step}", returncode=2
    )
