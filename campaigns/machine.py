"""`script/campaign machine`: many examples of the four state machines, and what they visited."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from campaigns.origin import PROJECT, keep

NAMES = ("callback", "operators", "payout", "record")
TEST = "tests/campaigns/test_statemachine.py::test_no_order_of_events_breaks_a_promise"
COUNT = re.compile(r"^ +([0-9]+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One machine's run: its name, pytest's exit code, what it said, and how long it took."""

    name: str
    code: int
    said: str
    seconds: float

    @property
    def seen(self) -> Counter[str]:
        return Counter({what: int(times) for times, what in COUNT.findall(self.said)})


def main(arguments: list[str]) -> int:
    """Run the machines; return 1 when a promise was broken."""
    given = _parser().parse_args(arguments)
    names = [given.machine] if given.machine else list(NAMES)
    began = time.monotonic()
    runs = list(_told(names, given))
    seen = sum((run.seen for run in runs), Counter[str]())
    for what, times in sorted(seen.items()):
        sys.stdout.write(f"{times:8} {what}\n")
    if not given.machine:
        _keep(runs, given, round(time.monotonic() - began))
    return 1 if any(run.code for run in runs) else 0


def _told(names: list[str], given: argparse.Namespace) -> Iterator[Run]:
    with ThreadPoolExecutor(max_workers=given.workers) as pool:
        for run in pool.map(lambda name: _run(name, given), names):
            _tell(run)
            yield run


def _keep(runs: list[Run], given: argparse.Namespace, seconds: int) -> None:
    keep(
        "machine",
        command=f"script/campaign machine --examples {given.examples} --steps {given.steps} "
        f"--seed {given.seed}",
        machines=[
            {
                "name": run.name,
                "examples": run.seen["examples"],
                "steps": given.steps,
                "broken": int(run.code != 0),
            }
            for run in runs
        ],
        seconds=seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/campaign machine", description=__doc__)
    parser.add_argument("--machine", choices=NAMES, help="only this one")
    parser.add_argument("--examples", type=int, default=500, help="of each machine")
    parser.add_argument("--steps", type=int, default=12, help="of each example")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    return parser


def _run(name: str, given: argparse.Namespace) -> Run:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", f"{TEST}[{name}]"],
        cwd=PROJECT,
        env={
            **os.environ,
            "LOANPOLL_MACHINE_EXAMPLES": str(given.examples),
            "LOANPOLL_MACHINE_STEPS": str(given.steps),
            "LOANPOLL_MACHINE_SEED": str(given.seed),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(name, done.returncode, done.stdout + done.stderr, time.monotonic() - began)


def _tell(run: Run) -> None:
    verdict = "no promise broken" if run.code == 0 else "BROKEN"
    examples = run.seen["examples"]
    sys.stdout.write(f"{run.name:10} {examples:6} examples in {run.seconds:5.0f} s: {verdict}\n")
    if run.code != 0:
        sys.stdout.write(run.said[-12_000:])
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
