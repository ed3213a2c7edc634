"""`script/campaign`: runs campaigns on one engine or both, and prints what they found."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from campaigns.origin import FOLDER, PROJECT, kept, origin
from campaigns.report import DOCUMENT, last_runs, path_of, read_run, report, tables, write_into
from campaigns.trees import copied_tree

NAMES = ("faults", "kills", "races", "random", "fuzz")
WORKERS = 2


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    if given.report:
        _report(write=given.write)
        return 0
    FOLDER.mkdir(exist_ok=True)
    failed, paths = False, []
    for campaign in _campaigns(given):
        for engine in _engines(campaign, given.engine):
            path = _path_for(campaign, engine, given)
            failed |= run(campaign, engine, given, path)
            paths.append(path)
    runs = [found for path in dict.fromkeys(paths) if (found := read_run(path)) is not None]
    sys.stdout.write("\n" + tables(runs))
    return 1 if failed else 0


def _report(*, write: bool) -> None:
    """Print the report of all that is kept, or put it between the marks of the document."""
    text = report(last_runs(), machines=kept("machine"), mutants=kept("mutants"))
    if write:
        write_into(DOCUMENT, text)
        sys.stdout.write(f"written into {DOCUMENT.relative_to(PROJECT)}\n")
    else:
        sys.stdout.write(text)


def _campaigns(given: argparse.Namespace) -> tuple[str, ...]:
    if given.campaign != "all":
        return (given.campaign,)
    return ("short",) if given.short else NAMES  # the short sets share one bench


def _engines(campaign: str, wanted: str) -> tuple[str, ...]:
    if campaign == "races":  # SQLite has one writer; its races are in the other campaigns
        return () if wanted == "sqlite" else ("postgres",)
    return ("sqlite", "postgres") if wanted == "both" else (wanted,)


def run(campaign: str, engine: str, given: argparse.Namespace, path: Path) -> bool:
    """Share one campaign out to workers, and gather their lines. True when something is wrong."""
    shards = 1 if given.only else given.workers
    sys.stdout.write(f"{campaign} on {engine}: seed {given.seed}, {shards} worker(s)\n")
    sys.stdout.flush()
    about, started = _about(campaign, engine, given), time.monotonic()
    parts = [path.with_suffix(f".{shard}.part") for shard in range(shards)]
    with copied_tree() as tree:  # or a change beside a run of hours would be half in it
        workers = [
            subprocess.Popen(_command(campaign, engine, given, part, shard, shards), cwd=tree)
            for shard, part in enumerate(parts)
        ]
        codes = [worker.wait() for worker in workers]
    lines = [part.read_text() for part in parts if part.exists()]
    about["wall_seconds"] = round(time.monotonic() - started, 1)
    path.write_text(json.dumps(about) + "\n" + "".join(lines))
    for part in parts:
        part.unlink(missing_ok=True)
    if any(code not in (0, 1) for code in codes) or not "".join(lines):
        sys.stdout.write(f"{campaign} on {engine}: a worker broke down ({codes})\n")
        return True
    return any(codes)


def _command(
    campaign: str, engine: str, given: argparse.Namespace, part: Path, shard: int, shards: int
) -> list[str]:
    command = [sys.executable, "-m", "campaigns.worker", campaign, engine]
    command += ["--seed", str(given.seed), "--out", str(part)]
    command += ["--shard", str(shard), "--shards", str(shards)]
    command += ["--count", str(given.count)] if given.count else []
    command += ["--only", given.only] if given.only else []
    command += ["--short"] if given.short else []
    command += ["--verbose"] if given.verbose or given.only else []
    return command


def _about(campaign: str, engine: str, given: argparse.Namespace) -> dict[str, Any]:
    name = "all" if campaign == "short" else campaign
    typed = [f"script/campaign {name} --engine {engine} --seed {given.seed}"]
    typed += [f"--count {given.count}"] if given.count else []
    typed += ["--short"] if given.short else []
    return {
        "campaign": campaign,
        "engine": engine,
        "seed": given.seed,
        "command": " ".join(typed),
        **origin(),
    }


def _path_for(campaign: str, engine: str, given: argparse.Namespace) -> Path:
    """A replay or a short set does not take the place of the long run in the report."""
    if given.out:
        return Path(given.out).resolve()
    path = path_of(campaign, engine)
    return path.with_suffix(".aside") if given.only or given.short else path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/campaign", description=__doc__)
    parser.add_argument("campaign", nargs="?", choices=[*NAMES, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--count", type=int, help="so many schedules; without it: all there are")
    parser.add_argument(
        "--short", action="store_true", help="a few of each, as script/test runs them"
    )
    parser.add_argument("--only", help="one schedule by its name, as a failure prints it")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--verbose", action="store_true", help="a line for every schedule")
    parser.add_argument(
        "--report", action="store_true", help="the table of the last runs, no new one"
    )
    parser.add_argument(
        "--write", action="store_true", help="with --report: into docs/explanation/campaigns.md"
    )
    parser.add_argument("--out", help="where the JSON lines go, instead of .campaigns/")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
