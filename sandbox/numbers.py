"""Receipts, conversation ids and request ids: unique, real-looking, the same for the same seed."""

from __future__ import annotations

import time

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE = 36**7
_STEP = 29_996_224_275_833  # odd and not a multiple of 3: coprime to 36^7, so no receipt repeats


class Numbers:
    """Hands out every id of the rail, in order."""

    def __init__(self, seed: int) -> None:
        self._start = (seed * 7_368_787 + 1_000_003) % _BASE
        self._receipts = 0
        self._conversations = seed * 1_000_003
        self._requests = seed * 97

    def receipt(self, at: float) -> str:
        """Return ten characters: year, month and day as M-Pesa codes them, then seven."""
        self._receipts += 1
        return date_letters(at) + _base36((self._start + self._receipts * _STEP) % _BASE, 7)

    def conversation(self, at: float) -> str:
        self._conversations += 1
        mixed = (self._conversations * 0x9E3779B97F4A7C15) % (1 << 64)
        return f"AG_{time.strftime('%Y%m%d', time.gmtime(at + 10_800))}_2010{mixed:016x}"

    def request_id(self) -> str:
        self._requests += 1
        mixed = (self._requests * 0x9E3779B97F4A7C15) % (1 << 48)
        return f"{self._requests % 65536:04x}-4bdd-{mixed:012x}{self._requests}"

    def minted_originator(self) -> str:
        """Return an id as the gateway makes it for v1 payments and for queries."""
        self._requests += 1
        return f"{10_000 + self._requests % 90_000}-{7_000_000 + self._requests}-1"


def date_letters(at: float) -> str:
    """Return the first three characters of a receipt: 6 July 2024 is SG6."""
    when = time.gmtime(at + 10_800)  # Kenya
    return chr(ord("S") + when.tm_year - 2024) + chr(64 + when.tm_mon) + ALPHABET[when.tm_mday]


def _base36(number: int, width: int) -> str:
    out = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        out = ALPHABET[digit] + out
    return out
