"""Enters in the admin's history what a person did outside of its forms."""

from __future__ import annotations

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model


def write_down(what: Model, *, by: str, text: str) -> None:
    """Write it down if `by` is a user; the history has no place for anyone else."""
    user = get_user_model()._default_manager.filter(username=by).first()
    if user is None:
        return
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(what),
        object_id=str(what.pk),
        object_repr=str(what)[:200],
        action_flag=CHANGE,
        change_message=text,
    )
