"""What came back, and JSON read so that no two readers could understand it differently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

DEEPEST_NESTING = 60
# A harmless-looking 1e999999999 becomes a gigabyte of digits when it is made whole.
LARGEST_EXPONENT = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)

    def json(self) -> object:
        """Return what the body says, with exact decimals. Raise ValueError when it is not JSON.

        Refused: bytes not in UTF-8, NaN and Infinity, a key given twice, nesting deeper than 60.
        """
        try:
            document: object = json.loads(
                self.body.decode("utf-8-sig"),
                parse_float=_decimal,
                parse_constant=_refuse_constant,
                object_pairs_hook=_object_of,
            )
        except RecursionError as exc:
            raise ValueError("the JSON is nested too deep") from exc
        _check_nesting(document)
        return document


def encode_json(value: object) -> str:
    """Return `value` as JSON; a Decimal is written as it is, never through a float."""
    match value:
        case Decimal() if value.is_finite():
            return format(value, "f")
        case dict():
            members = (
                f"{json.dumps(str(key))}: {encode_json(item)}" for key, item in value.items()
            )
            return "{" + ", ".join(members) + "}"
        case list() | tuple():
            return "[" + ", ".join(encode_json(item) for item in value) + "]"
        case _:
            return json.dumps(value, allow_nan=False)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as exc:  # an exponent too long to be a number at all
        raise ValueError("a number beyond all measure") from exc
    if not number.is_finite() or (number and abs(number.adjusted()) > LARGEST_EXPONENT):
        raise ValueError("a number beyond all measure")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


def _check_nesting(document: object) -> None:
    level = _containers([document])
    for _ in range(DEEPEST_NESTING):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return
    raise ValueError("the JSON is nested too deep")


def _containers(value: list[Any] | dict[str, Any]) -> list[list[Any] | dict[str, Any]]:
    members = value.values() if isinstance(value, dict) else value
    return [member for member in members if isinstance(member, dict | list)]
