"""A page of memory that every forked life sees: the clock's offset, and numbered boundaries."""

from __future__ import annotations

import mmap
import struct

_DOUBLE = struct.Struct("d")
SLOTS = (
    *("clock", "pass", "web", "kill_pass", "kill_web", "stop_pass"),
    *("wires", "matched", "cut_at", "cut_mode", "commits", "cuts"),
)


class Shared:
    """Named numbers in shared memory. One writer at a time is the caller's business."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._places = {name: position * _DOUBLE.size for position, name in enumerate(SLOTS)}

    def get(self, name: str) -> float:
        return float(_DOUBLE.unpack_from(self._page, self._places[name])[0])

    def set(self, name: str, value: float) -> None:
        _DOUBLE.pack_into(self._page, self._places[name], value)

    def add(self, name: str, value: float = 1) -> float:
        self.set(name, self.get(name) + value)
        return self.get(name)

    def clear(self) -> None:
        for name in SLOTS:
            self.set(name, 0)
