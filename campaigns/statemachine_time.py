"""Time that a test moves by hand, and a process that can die between any two things it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
TICK = 0.05  # seconds that every call over the wire takes at least


@dataclass
class Clock:
    """Wall time and monotonic time in one; sleeping moves it and costs nothing."""

    at: datetime = START
    _monotonic: float = 1_000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self._monotonic += seconds


class Crash(BaseException):
    """The process died here. Not an Exception, so that nothing of the product survives it."""


@dataclass
class Fuse:
    """Burns down by one at every commit and every call; at nought the process dies."""

    left: int | None = None
    burnt: int = 0
    visited: list[str] = field(default_factory=list)

    def light(self, steps: int | None) -> None:
        self.left = steps
        self.visited.clear()

    def pass_by(self, place: str) -> None:
        """Raise Crash when this is the place."""
        if self.left is None:
            return
        self.visited.append(place)
        self.left -= 1
        if self.left <= 0:
            self.left = None
            self.burnt += 1
            raise Crash(place)
