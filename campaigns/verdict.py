"""One broken promise, by the name it has in reliability.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"
