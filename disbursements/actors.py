"""The people named on the command line."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management import CommandError

from loans.models import LoanTracking
from partners.management.actors import user_who_may
from partners.visibility import within_sight


def actor_with(username: str, permission: str, *, loan_pk: int) -> User:
    """Return the active user of that name who may do this to this loan. Raises CommandError."""
    user = user_who_may(username, permission)
    known = LoanTracking.objects.filter(pk=loan_pk)
    if not known.exists():
        raise CommandError(f"There is no loan with id {loan_pk}.", returncode=2)
    if not within_sight(known, user).exists():
        raise CommandError(f"User '{username}' is bound to other partners.", returncode=2)
    return user
