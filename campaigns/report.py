"""Turns the JSON lines of the last runs into the table that docs/explanation/campaigns.md shows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / ".campaigns"
ROWS_OF_FAULTS = 12


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of one campaign on one engine."""

    about: dict[str, Any]
    outcomes: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return f"{self.about['campaign']} ({self.about['engine']})"

    @property
    def counting(self) -> list[dict[str, Any]]:
        return [row for row in self.outcomes if row["counts"]]


def path_of(campaign: str, engine: str) -> Path:
    return FOLDER / f"{campaign}-{engine}.jsonl"


def last_runs() -> list[Run]:
    """Return the runs kept under .campaigns/, one per campaign and engine."""
    return [run for path in sorted(FOLDER.glob("*.jsonl")) if (run := read_run(path)) is not None]


def read_run(path: Path) -> Run | None:
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return Run(lines[0], lines[1:]) if lines and "campaign" in lines[0] else None


def tables(runs: list[Run]) -> str:
    """Return the whole report as Markdown."""
    if not runs:
        return "No campaign has run here yet.\n"
    parts = [_about(runs), _summary(runs), _violations(runs), _fired(runs), _visited(runs)]
    return "\n".join(part for part in parts if part)


def _about(runs: list[Run]) -> str:
    lines = ["| campaign | command | commit | machine | started |", "|---|---|---|---|---|"]
    for run in runs:
        about = run.about
        lines.append(
            f"| {run.name} | `{about['command']}` | {about['commit']} | {about['machine']} "
            f"| {about['started']} |"
        )
    return "\n".join(lines) + "\n"


def _summary(runs: list[Run]) -> str:
    lines = [
        "| campaign | schedules run | of them with a fault that fired | distinct signatures "
        "| faults fired | kills | passes to quiet, median / most | violations "
        "| seconds per 1,000 schedules |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(run) for run in runs]
    return "\n".join(lines) + "\n"


def _row(run: Run) -> str:
    outcomes = run.outcomes
    passes = [row["passes"] for row in run.counting] or [0]
    fired = sum(sum(row["fired"].values()) for row in outcomes)
    cells = (
        run.name,
        len(outcomes),
        len(run.counting),
        len({row["signature"] for row in run.counting}),
        fired,
        sum(row["kills"] for row in outcomes),
        f"{median(passes):g} / {max(passes)}",
        sum(len(row["violations"]) for row in outcomes),
        round(1000 * run.about.get("wall_seconds", 0) / max(len(outcomes), 1)),
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _violations(runs: list[Run]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for row in run.outcomes:
            for text in row["violations"]:
                counts[(run.name, text.partition(":")[0])] += 1
    if not counts:
        return "Violations by invariant: none.\n"
    lines = ["| campaign | invariant | violations |", "|---|---|---|"]
    lines += [f"| {name} | {what} | {count} |" for (name, what), count in sorted(counts.items())]
    return "\n".join(lines) + "\n"


def _fired(runs: list[Run]) -> str:
    lines = ["| campaign | faults that fired, by kind |", "|---|---|"]
    for run in runs:
        counts: Counter[str] = Counter()
        for row in run.outcomes:
            for kind, count in row["fired"].items():
                counts[_kind(kind)] += count
        told = ", ".join(f"{kind} {count}" for kind, count in counts.most_common(ROWS_OF_FAULTS))
        rest = len(counts) - ROWS_OF_FAULTS
        lines.append(f"| {run.name} | {told}{f' and {rest} more kinds' if rest > 0 else ''} |")
    return "\n".join(lines) + "\n"


def _kind(fired: str) -> str:
    call, colon, outcome = fired.partition(":")
    return f"{call} {outcome}" if colon else call


def _visited(runs: list[Run]) -> str:
    counts = Counter(state for run in runs for row in run.outcomes for state in row["visited"])
    if not counts:
        return ""
    lines = ["| state passed through | schedules |", "|---|---|"]
    lines += [f"| {state} | {count} |" for state, count in sorted(counts.items())]
    return "\n".join(lines) + "\n"
