"""The people named on the command line."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management import CommandError


def actor_with(username: str, permission: str) -> User:
    """Return the active user of that name if they hold the permission. Raises CommandError."""
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user '{username}'.", returncode=2)
    if not user.has_perm(permission):
        raise CommandError(f"User '{username}' lacks the permission {permission}.", returncode=2)
    return user
