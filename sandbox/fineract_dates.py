"""Dates and amounts as callers write them: dateFormat and locale (contracts/mifos.md 5.1, 9)."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

_MONTH_NAMES = {
    "en": "January February March April May June July August September October November December",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
MONTHS = {locale: names.split() for locale, names in _MONTH_NAMES.items()}
_TOKENS = re.compile(r"d+|M+|y+|u+|[^dMyu]+")


def read_date(text: str, pattern: str, locale: str) -> date:
    """Read `text` by a Java date pattern. Raises ValueError when it does not fit."""
    months = MONTHS.get(locale.replace("_", "-").split("-")[0], MONTHS["en"])
    found = re.fullmatch("".join(_part(token, months) for token in _TOKENS.findall(pattern)), text)
    if found is None:
        raise ValueError(f"{text} is not {pattern}")
    groups = found.groupdict()
    return date(int(groups["y"]), _month(groups["m"], months), int(groups["d"]))


def _part(token: str, months: list[str]) -> str:
    if token[0] == "d":
        return r"(?P<d>\d{2})" if len(token) == 2 else r"(?P<d>\d{1,2})"
    if token[0] in "yu":
        return r"(?P<y>\d{4})"
    if token[0] != "M":
        return re.escape(token)
    names = {1: [r"\d{1,2}"], 2: [r"\d{2}"], 3: [name[:3] for name in months]}
    return f"(?P<m>{'|'.join(names.get(len(token), months))})"


def _month(text: str, months: list[str]) -> int:
    if text.isdigit():
        return int(text)
    return next(number for number, name in enumerate(months, 1) if name[:3] == text[:3])


def read_amount(value: Any, locale: str) -> Decimal:
    """Read a JSON number or a locale string: `1.000` is 1 in English and 1000 in German."""
    if isinstance(value, bool) or value is None:
        raise ValueError("not an amount")
    if not isinstance(value, str):
        return Decimal(value)
    text = (
        value.replace(".", "").replace(",", ".") if locale[:2] == "de" else value.replace(",", "")
    )
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise ValueError(f"{value} is not an amount") from exc
