"""Turns the JSON lines of the last runs into the table that docs/explanation/campaigns.md shows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from campaigns.origin import FOLDER, PROJECT

DOCUMENT = PROJECT / "docs" / "explanation" / "campaigns.md"
MARKS = ("<!-- report -->\n", "<!-- /report -->")
RARE_ENOUGH = 20  # a state visited less often was not really tried (reliability.md 4.1, rule 3)


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


def report(
    runs: list[Run], *, machines: dict[str, Any] | None, mutants: dict[str, Any] | None
) -> str:
    """Return the tables of the schedules, then the state machines and the mutants."""
    parts = [tables(runs), _machines(machines), _mutants(mutants)]
    return "\n".join(part for part in parts if part)


def write_into(document: Path, text: str) -> None:
    """Put the report between the marks of a document. Raises ValueError when it has none."""
    before, begin, rest = document.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise ValueError(f"{document} has no place for the report")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _machines(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    lines = [
        "| state machine | examples | of so many steps | promises broken |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['examples']} | {row['steps']} | {row['broken']} |"
        for row in found["machines"]
    ]
    return "\n".join(lines) + f"\n\n{_origin(found)}\n"


def _mutants(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    rest = ", ".join(f"{name} {what}" for name, what in found["not_caught"].items())
    return (
        f"Mutants caught: {found['caught']} of {found['tried']}"
        f"{f' (not: {rest})' if rest else ''}, of {found['known']} there are.\n\n"
        f"{_origin(found)}\n"
    )


def _origin(found: dict[str, Any]) -> str:
    where = f"commit {found['commit']}, {found['machine']}, {found['started']}"
    return f"`{found['command']}`: {found['seconds']} s, {where}."


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
    lines += [_row(run) for run in (*runs, *_sums(runs))]
    return "\n".join(lines) + "\n"


def _sums(runs: list[Run]) -> list[Run]:
    """Return all campaigns of each engine as one run, where there is more than one."""
    found = []
    for engine in ("sqlite", "postgres"):
        own = [run for run in runs if run.about["engine"] == engine]
        seconds = sum(run.about.get("wall_seconds", 0) for run in own)
        about = {"campaign": "**all**", "engine": engine, "wall_seconds": seconds}
        if len(own) > 1:
            found.append(Run(about, [row for run in own for row in run.outcomes]))
    return found


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
    lines = ["| fault that fired | " + " | ".join(run.name for run in runs) + " |"]
    lines.append("|---" * (len(runs) + 1) + "|")
    counts = [_kinds_of(run) for run in runs]
    for kind in sorted(set().union(*counts)):
        cells = " | ".join(str(each[kind] or "") for each in counts)
        lines.append(f"| {kind} | {cells} |")
    return "\n".join(lines) + "\n"


def _kinds_of(run: Run) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in run.outcomes:
        for fired, count in row["fired"].items():
            counts[_kind(row["campaign"], fired)] += count
    return counts


def _kind(campaign: str, fired: str) -> str:
    """The kind without the place: an outcome without its call, a kill without its table or path."""
    words = fired.split()
    match campaign:
        case "kills":
            return f"killed: {' '.join(words[1:3])}" if len(words) > 2 else "killed"
        case "races" if words[0] == "paused":
            return f"paused: {' '.join(words[1:3])}"
        case "fuzz":
            return fired
    call, colon, outcome = fired.partition(":")
    return outcome if colon else call


def _visited(runs: list[Run]) -> str:
    by_engine = {"sqlite": Counter[str](), "postgres": Counter[str]()}
    for run in runs:
        by_engine[run.about["engine"]] += _states_of(run)
    sqlite, postgres = by_engine.values()
    total = sqlite + postgres
    if not total:
        return ""
    often = sum(count >= RARE_ENOUGH for count in total.values())
    told = (
        f"States passed through: {len(total)}, of them {often} in {RARE_ENOUGH} schedules or more."
    )
    lines = [told, "", "| state passed through | SQLite | PostgreSQL |", "|---|---|---|"]
    lines += [f"| {state} | {sqlite[state]} | {postgres[state]} |" for state in sorted(total)]
    return "\n".join(lines) + "\n"


def _states_of(run: Run) -> Counter[str]:
    return Counter(state for row in run.outcomes for state in row["visited"])
