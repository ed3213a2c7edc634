"""The history of the configuration: who changed what, from what to what. Secrets by name only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from encryption.fields import EncryptedTextField

SECRET_WIDGETS = (forms.PasswordInput, forms.FileInput)
SECRET_WORDS = ("password", "secret", "token", "credential", "hashed_key")
NOTHING = "empty"


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


def said_changes(form: Any, formsets: Iterable[Any], *, add: bool) -> list[dict[str, Any]]:
    """Return what a form and its rows changed, in the shape that Django's history reads."""
    said: list[dict[str, Any]] = [{"added": {}}] if add else []
    if form.changed_data:
        said.append({"changed": _fields(form, new=add)})
    for formset in formsets:
        said += _said_rows(formset)
    return said


def _said_rows(formset: Any) -> Iterator[dict[str, Any]]:
    rows = {id(row.instance): row for row in formset.forms}
    for one in formset.new_objects:
        yield {"added": _named(one)}
        yield {"changed": _named(one) | _fields(rows[id(one)], new=True)}
    for one, _ in formset.changed_objects:
        yield {"changed": _named(one) | _fields(rows[id(one)], new=False)}
    for one in formset.deleted_objects:
        yield {"deleted": _named(one)}


def _named(one: Model) -> dict[str, Any]:
    return {"name": str(one._meta.verbose_name), "object": str(one)}


def _fields(form: Any, *, new: bool) -> dict[str, Any]:
    """`fields` is what Django shows; `changes` says the same for programs."""
    changes = [_change(form, name, new=new) for name in form.changed_data]
    return {"fields": [_words(change) for change in changes], "changes": changes}


def _change(form: Any, name: str, *, new: bool) -> dict[str, str]:
    field = form.fields[name]
    change = {"field": name, "label": str(field.label or name)}
    if _is_secret(form, name):
        return change
    before = NOTHING if new else _shown(field, form[name].initial)
    return change | {"from": before, "to": _shown(field, form.cleaned_data.get(name))}


def _words(change: dict[str, str]) -> str:
    if "to" not in change:
        return change["label"]
    return f"{change['label']} ({change['from']} → {change['to']})"


def _is_secret(form: Any, name: str) -> bool:
    if isinstance(form.fields[name].widget, SECRET_WIDGETS):
        return True
    if any(word in name for word in SECRET_WORDS):
        return True
    columns = {column.name: column for column in form._meta.model._meta.get_fields()}
    return isinstance(columns.get(name), EncryptedTextField)


def _shown(field: forms.Field, value: Any) -> str:
    """Return the value as people read it: names for numbers, labels for codes."""
    match field:
        case forms.ModelMultipleChoiceField():
            return ", ".join(sorted(str(one) for one in value or [])) or NOTHING
        case forms.ModelChoiceField():
            return _shown_choice(field, value)
        case forms.BooleanField():
            return "yes" if value else "no"
        case forms.ChoiceField() if value not in (None, ""):
            return str(dict(field.choices).get(value, value))  # type: ignore[arg-type]  # groups too
        case _:
            return NOTHING if value in (None, "") else str(value)


def _shown_choice(field: forms.ModelChoiceField[Any], value: Any) -> str:
    if value in (None, ""):
        return NOTHING
    found = value if isinstance(value, Model) else field.queryset.filter(pk=value).first()  # type: ignore[union-attr]  # always set in a bound form
    return str(found if found is not None else value)
