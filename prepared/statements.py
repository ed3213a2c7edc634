"""Statements that the ORM writes once, and each later use only fills in.

Django clones, compiles and reads a query anew at each use, which cost more CPU than all the rest of
a payment (docs/benchmarks.md). The SQL, the adaption of values and the models are still Django's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, Expression, Field, Model, QuerySet
from django.db.models import query as django_query
from django.db.models.sql import UpdateQuery
from django.db.transaction import TransactionManagementError, mark_for_rollback_on_error

Row = TypeVar("Row", bound=Model)
# What fills in the models of select_related. The stubs are of a later Django.
_populators: Any = django_query.get_related_populators
MOST_UPDATES = 256  # kept, by the columns that they write; there are some dozens


class Slot(Expression):
    """A value that each use gives under this name. In a condition it is never None."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, *_: Any, **__: Any) -> Any:
        return "%s", (self,)

    def filled(self, value: object, database: BaseDatabaseWrapper) -> object:
        if value is None:
            raise ValueError(f"{self.name} is None, which equals nothing in SQL")
        return database.ops.adapt_unknown_value(value)


class _Column(Slot):
    """The new value of a column: made ready, and encrypted if need be, as `save` would."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(name)
        self.column = field

    def filled(self, value: object, database: BaseDatabaseWrapper) -> object:
        return self.column.get_db_prep_save(value, connection=database)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Text:
    """SQL and its parameters, some of which are slots."""

    sql: str
    params: tuple[object, ...]

    def run(self, cursor: Any, values: Mapping[str, object]) -> None:
        cursor.execute(
            self.sql,
            [
                each.filled(values[each.name], cursor.db) if isinstance(each, Slot) else each
                for each in self.params
            ],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Select:
    """A SELECT, and how Django reads its rows."""

    text: _Text
    locks: bool
    converters: list[tuple[int, list[Callable[..., Any]], object]]
    model: type[Model]
    attributes: list[str]  # none when the rows stay tuples
    related: Sequence[Any]  # what fills in the models of select_related

    def fetch(self, values: Mapping[str, object]) -> list[list[Any]]:
        database = connections[DEFAULT_DB_ALIAS]
        if self.locks and database.get_autocommit():
            raise TransactionManagementError("rows are locked in a transaction only")
        with database.cursor() as cursor:
            self.text.run(cursor, values)
            return [self._converted(row, database) for row in cursor.fetchall()]

    def model_of(self, row: list[Any]) -> Any:
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.attributes, row[: len(self.attributes)])
        for each in self.related:
            each.populate(row, made)
        return made

    def _converted(self, raw: Iterable[Any], database: BaseDatabaseWrapper) -> list[Any]:
        row = list(raw)
        for place, converters, expression in self.converters:
            for convert in converters:
                row[place] = convert(row[place], expression, database)
        return row


class Tuples:
    """The rows of a `values_list`. `build` is called once, at the first use."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        self._build = build

    def all(self, **values: object) -> list[list[Any]]:
        """Return the rows for these values of the slots."""
        return self._select.fetch(values)

    @cached_property
    def _select(self) -> _Select:
        return _compiled(self._build())


class Rows(Generic[Row]):
    """The models of a queryset. `build` is called once, at the first use."""

    def __init__(self, build: Callable[[], QuerySet[Row]]) -> None:
        self._build = build

    def all(self, **values: object) -> list[Row]:
        """Return the models for these values of the slots."""
        return [self._select.model_of(row) for row in self._select.fetch(values)]

    def first(self, **values: object) -> Row | None:
        """Return the first model, or None. The queryset says in which order."""
        return next(iter(self.all(**values)), None)

    def get(self, **values: object) -> Row:
        """Return the model. Raises its DoesNotExist; two are an error too, as `get` has it."""
        found = self.all(**values)
        if len(found) != 1:
            model: Any = self._select.model
            raise (model.MultipleObjectsReturned if found else model.DoesNotExist)(str(values))
        return found[0]

    @cached_property
    def _select(self) -> _Select:
        return _compiled(self._build())


class Update:
    """An UPDATE of some rows, which returns how many it found.

    `columns` are slots or expressions. `build` is called once, at the first use.
    """

    def __init__(self, build: Callable[[], QuerySet[Any]], **columns: Expression) -> None:
        self._build = build
        self._columns = columns

    def __call__(self, **values: object) -> int:
        database = connections[DEFAULT_DB_ALIAS]
        with mark_for_rollback_on_error(DEFAULT_DB_ALIAS), database.cursor() as cursor:
            self._text.run(cursor, values)
            return int(cursor.rowcount)

    @cached_property
    def _text(self) -> _Text:
        queryset = self._build()
        query: Any = queryset.query.chain(UpdateQuery)
        new = {name: _for(queryset.model, name, each) for name, each in self._columns.items()}
        query.add_update_values(new)
        sql, params = query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
        return _Text(sql=sql, params=tuple(params))


@dataclass(frozen=True, slots=True)
class Prepared:
    """The guarded UPDATEs of a model, spelt as the ORM's; each set of names is written once."""

    model: type[Model]

    def filter(self, **guard: object) -> _Guarded:
        """Name the rows, by values that are not None."""
        return _Guarded(self.model, guard)


@dataclass(frozen=True, slots=True)
class _Guarded:
    model: type[Model]
    guard: dict[str, object]

    def update(self, **columns: object) -> int:
        """Write values, or expressions, on these rows; return how many there were."""
        named = tuple(
            (name, value if isinstance(value, Expression) else None)
            for name, value in columns.items()
        )
        new = {f"new {name}": value for name, value in columns.items()}
        return _update_of(self.model, named, tuple(self.guard))(**new, **self.guard)


def insert(rows: Sequence[Row]) -> None:
    """INSERT new rows of one model, and give each its key. Sends no signals, as `bulk_create`."""
    model, database = type(rows[0]), connections[DEFAULT_DB_ALIAS]
    if not database.features.can_return_rows_from_bulk_insert:  # SQLite before 3.35
        for row in rows:
            row.save(force_insert=True)
        return
    values = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection=database)
        for row in rows
        for field in _insertable(model)
    ]
    with mark_for_rollback_on_error(DEFAULT_DB_ALIAS), database.cursor() as cursor:
        cursor.execute(_insert_into(model, len(rows)), values)
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = key
            row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


@lru_cache
def _insertable(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    return tuple(each for each in model._meta.concrete_fields if not isinstance(each, AutoField))


@lru_cache
def _insert_into(model: type[Model], count: int) -> str:
    ops = connections[DEFAULT_DB_ALIAS].ops
    columns = ", ".join(ops.quote_name(str(each.column)) for each in _insertable(model))
    row = f"({', '.join('%s' for _ in _insertable(model))})"
    return (
        f"INSERT INTO {ops.quote_name(model._meta.db_table)} ({columns}) "  # noqa: S608 - our names
        f"VALUES {', '.join([row] * count)} RETURNING {ops.quote_name(str(model._meta.pk.column))}"
    )


@lru_cache(MOST_UPDATES)
def _update_of(
    model: type[Model], columns: tuple[tuple[str, Expression | None], ...], guard: tuple[str, ...]
) -> Update:
    return Update(
        lambda: model._base_manager.filter(**{name: Slot(name) for name in guard}),
        **{name: expression or Slot(f"new {name}") for name, expression in columns},
    )


def _for(model: type[Model], name: str, given: Expression) -> Expression:
    field: Any = model._meta.get_field(name)
    return _Column(given.name, field) if isinstance(given, Slot) else given


def _compiled(queryset: QuerySet[Any, Any]) -> _Select:
    compiler: Any = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, params = compiler.as_sql()
    converters = compiler.get_converters([expression for expression, *_ in compiler.select])
    model = compiler.klass_info or {"select_fields": []}
    return _Select(
        text=_Text(sql=sql, params=tuple(params)),
        locks=queryset.query.select_for_update,
        converters=[(place, *converter) for place, converter in converters.items()],
        model=queryset.model,
        attributes=[compiler.select[place][0].target.attname for place in model["select_fields"]],
        related=_populators(model, compiler.select, DEFAULT_DB_ALIAS),
    )
