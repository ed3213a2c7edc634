"""A page of memory that every forked life sees: the clock's offset, and numbered boundaries."""

from __future__ import annotations

import mmap

SLOTS = (
    *("clock", "pass", "web", "kill_pass", "kill_web", "stop_pass"),
    *("wires", "matched", "cut_at", "cut_mode", "commits", "cuts"),
)


class Shared:
    """Named numbers in shared memory. One writer at a time is the caller's business.

    A number is stored in one piece: `struct.pack_into` fills the place with zeros first, and a
    life that looked just then took the 0 for its own.
    """

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
        self._places = {name: position for position, name in enumerate(SLOTS)}

    def get(self, name: str) -> float:
        return self._numbers[self._places[name]]

    def set(self, name: str, value: float) -> None:
        self._numbers[self._places[name]] = value

    def add(self, name: str, value: float = 1) -> float:
        total = self.get(name) + value
        self.set(name, total)
        return total

    def clear(self) -> None:
        for name in SLOTS:
            self.set(name, 0)
