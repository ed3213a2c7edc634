"""Writes every encrypted value anew with the first key, while the site goes on working."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.conf import settings
from django.db.models import Model, QuerySet, TextField, Value
from django.db.models.functions import Cast

from encryption.fields import EncryptedTextField, _cipher, cipher

CHUNK = 500
TRIES = 5  # the site may write the same value while we do


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One encrypted column of one model."""

    model: type[Model]
    name: str

    def __str__(self) -> str:
        return f"{self.model._meta.db_table}.{self.name}"


@dataclass(kw_only=True, slots=True)
class Count:
    """What became of one column's values. `left` ones were written by others all the while."""

    column: Column
    rotated: int = 0
    current: int = 0  # written with the first key before
    left: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableValue:
    column: Column
    pk: object

    def __str__(self) -> str:
        return f"{self.column}, id {self.pk}"


class Unreadable(Exception):
    """Some values cannot be read with any key in force. Nothing was changed."""

    def __init__(self, values: list[UnreadableValue]) -> None:
        super().__init__(f"{len(values)} value(s) cannot be read with FIELD_ENCRYPTION_KEYS")
        self.values = values


def rotate_all(*, dry_run: bool = False) -> list[Count]:
    """Rotate every column. Raises Unreadable, before anything is changed, when a value is lost."""
    columns = list(encrypted_columns())
    lost = [value for column in columns for value in _unreadable(column)]
    if lost:
        raise Unreadable(lost)
    return [_rotate(column, dry_run=dry_run) for column in columns]


def encrypted_columns() -> Iterator[Column]:
    """Yield the encrypted columns of all installed models."""
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField) and not model._meta.proxy:
                yield Column(model=model, name=field.attname)


def _unreadable(column: Column) -> Iterator[UnreadableValue]:
    for pk, stored in _stored(column):
        try:
            cipher().decrypt(stored.encode())
        except InvalidToken:
            yield UnreadableValue(column=column, pk=pk)


def _rotate(column: Column, *, dry_run: bool) -> Count:
    count = Count(column=column)
    for pk, stored in _stored(column):
        if _is_current(stored):
            count.current += 1
        elif dry_run or _rotate_one(column, pk, stored):
            count.rotated += 1
        else:
            count.left += 1
    return count


def _rotate_one(column: Column, pk: object, stored: str) -> bool:
    """Replace the value if it is still the one read; one that changed meanwhile is read again."""
    for _ in range(TRIES):
        fresh = Value(cipher().rotate(stored.encode()).decode(), output_field=TextField())
        if _raw(column).filter(pk=pk, raw=stored).update(**{column.name: fresh}) == 1:
            return True
        found = _raw(column).filter(pk=pk).values_list("raw", flat=True).first()
        if not found or _is_current(found):
            return True  # deleted, emptied, or written with the first key by another
        stored = found
    return False


def _is_current(stored: str) -> bool:
    try:
        _cipher((settings.FIELD_ENCRYPTION_KEYS[0],)).decrypt(stored.encode())
    except InvalidToken:
        return False
    return True


def _stored(column: Column) -> Iterator[tuple[Any, str]]:
    """Yield each row's id and text as it lies in the table, in batches by id."""
    rows = _raw(column).exclude(raw=None).exclude(raw="").order_by("pk").values_list("pk", "raw")
    batch = list(rows[:CHUNK])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1][0])[:CHUNK])


def _raw(column: Column) -> QuerySet[Model]:
    """The rows with the column's bare text: through the field itself it would be decrypted."""
    return column.model._base_manager.annotate(raw=Cast(column.name, TextField()))
