"""The people named on the command line: who is blamed in the history must be somebody."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management.base import CommandError


def active_user(username: str) -> User:
    """Return the active user of that name. Raises CommandError."""
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user '{username}'.", returncode=2)
    return user


def user_who_may(username: str, permission: str) -> User:
    """Return the active user of that name who has this permission. Raises CommandError."""
    user = active_user(username)
    if not user.has_perm(permission):
        raise CommandError(f"User '{username}' lacks the permission {permission}.", returncode=2)
    return user
