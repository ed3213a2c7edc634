"""One wrong variant: exact pieces of the source, what stands there instead, and who must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCENARIOS = "tests/campaigns/test_scenarios.py"
PROPERTIES = "tests/campaigns/test_properties.py"


class StaleMutant(Exception):
    """The source no longer has the piece that this mutant changes: write the mutant anew."""


@dataclass(frozen=True)
class Edit:
    """One piece of one file, which occurs there exactly once."""

    path: str
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        """Return the wrong source. Raises StaleMutant."""
        found = source.count(self.old)
        if found != 1:
            raise StaleMutant(f"{self.path} has {found} times: {self.old!r}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """`caught_by` are pytest node ids; at least one of them must fail. `quick` = in script/test."""

    name: str
    why: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]
    quick: bool = False

    def sources(self, tree: Path) -> dict[Path, str]:
        """Return the wrong source of every file that this mutant touches. Raises StaleMutant."""
        wrong: dict[Path, str] = {}
        for edit in self.edits:
            path = tree / edit.path
            wrong[path] = edit.applied_to(wrong.get(path) or path.read_text())
        return wrong


def scenario(*names: str) -> tuple[str, ...]:
    return tuple(f"{SCENARIOS}::test_{name}" for name in names)


def prop(*names: str) -> tuple[str, ...]:
    return tuple(f"{PROPERTIES}::test_{name}" for name in names)
