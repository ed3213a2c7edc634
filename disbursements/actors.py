"""The people named on the command line."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management import CommandError

from loans.models import LoanTracking
from partners.visibility import within_sight


def actor_with(username: str, permission: str, *, loan_pk: int) -> User:
    """Return the active user of that name who may do this to this loan. Raises CommandError."""
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user '{username}'.", returncode=2)
    if not user.has_perm(permission):
        raise CommandError(f"User '{username}' lacks the permission {permission}.", returncode=2)
    known = LoanTracking.objects.filter(pk=loan_pk)
    if known.exists() and not within_sight(known, user).exists():
        raise CommandError(f"User '{username}' is bound to other partners.", returncode=2)
    return user
