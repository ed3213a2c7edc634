"""JSON from outside, read so that no two readers could understand it differently."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 20


def read_json(text: str | bytes) -> object:
    """Return what `text` says, with exact decimals; ValueError when it is not plain JSON.

    Refused: NaN and Infinity, a key given twice, nesting deeper than MAX_DEPTH, bytes not in UTF-8.
    """
    try:
        document: object = json.loads(
            text if isinstance(text, str) else text.decode(),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_of,
        )
    except (ArithmeticError, RecursionError) as exc:
        raise ValueError("a number or a nesting beyond all measure") from exc
    _check_depth(document, MAX_DEPTH)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


def _check_depth(value: object, left: int) -> None:
    if left < 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            _check_depth(member, left - 1)
