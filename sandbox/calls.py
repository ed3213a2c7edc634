"""One HTTP call as it came in, and the answer it gets."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

MONEY_MARK = "\u00a7"
_MONEY = re.compile(rb'"\xc2\xa7(-?[0-9.]+)\xc2\xa7"')


@dataclass(slots=True)
class Truth:
    """What a fault decides about the effect of an effectful call, whatever the caller is told."""

    effect: str  # pays | refuses | never_lands | lands_late
    code: str = ""
    seconds: float | None = None  # lands_late: None = when released
    seen: bool | None = None  # is the id (or key) remembered before the effect lands?


@dataclass(slots=True)
class Call:
    """A request, read whole; `facts` is what fault rules may match on."""

    system: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float
    name: str = "unknown"
    facts: Json = field(default_factory=dict)
    truth: Truth | None = None
    saw: Json | None = None
    _json: Json | None = None

    @property
    def json(self) -> Json:
        """Return the body as an object. Raises ValueError when it is not one."""
        if self._json is None:
            found = json.loads(self.body or b"{}", parse_float=Decimal)
            if not isinstance(found, dict):
                raise ValueError("the body is not an object")
            self._json = found
        return self._json


@dataclass(slots=True)
class Answer:
    """A status, a body and headers; `before` is awaited first (a callback that overtakes us)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    before: Callable[[], Awaitable[None]] | None = None


Endpoint = Callable[[Call], Answer]


def money(amount: Decimal) -> str:
    """Mark an amount: `dump` writes it as a number with six decimals (contracts/mifos.md 9)."""
    return f"{MONEY_MARK}{amount:.6f}{MONEY_MARK}"


def dump(value: Any) -> bytes:
    """Return `value` as JSON; amounts made by `money` become numbers, never floats."""
    return _MONEY.sub(rb"\1", _ENCODER.encode(value).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value)} is not JSON")


def answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, body=dump(value), headers=headers)


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_plain)
