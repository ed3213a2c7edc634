"""Plays one share of one campaign on one engine, and writes each outcome as a JSON line."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

from campaigns import faults, fuzz, kills, races, swarm
from campaigns.play import Job, Outcome
from campaigns.rig import Rig, running_rig

CAMPAIGNS: dict[str, ModuleType] = {
    "faults": faults,
    "kills": kills,
    "races": races,
    "random": swarm,
    "fuzz": fuzz,
}
LONGEST_SCHEDULE_SECONDS = 240
COLD_SHARE = 4  # one worker in so many


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    names = list(CAMPAIGNS) if given.campaign == "short" else [given.campaign]
    if given.campaign == "short" and given.engine == "sqlite":
        names.remove("races")  # SQLite has one writer
    wrong = 0
    with running_rig(given.engine, is_warm=_is_warm(given)) as rig, given.out.open("a") as out:
        for campaign in (CAMPAIGNS[name] for name in names):
            for name, seed in _share(rig, campaign, given):
                outcome = play_safely(rig, campaign, name, seed)
                out.write(json.dumps(outcome.as_json()) + "\n")
                out.flush()
                wrong += bool(outcome.violations)
                _tell(outcome, given)
    return 1 if wrong else 0


def _is_warm(given: argparse.Namespace) -> bool:
    """A share stays cold: some faults show only where a thing is done for the first time."""
    return given.campaign in ("random", "faults") and bool(given.shard % COLD_SHARE)


def play_safely(rig: Rig, campaign: ModuleType, name: str, seed: int) -> Outcome:
    """Play one schedule; one that hangs or breaks the bench is a failure of its own."""
    started = time.monotonic()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LONGEST_SCHEDULE_SECONDS)
    try:
        outcome: Outcome = campaign.play(rig, name, seed)
    except Exception as exc:
        outcome = Outcome(campaign=campaign.__name__.rpartition(".")[2], name=name, seed=seed)
        outcome.engine = rig.engine.name
        outcome.violations = [f"bench: {type(exc).__name__}: {exc}", *rig.nursery.take_errors()]
        outcome.seconds = round(time.monotonic() - started, 3)
    finally:
        signal.alarm(0)
    return outcome


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"a schedule took more than {LONGEST_SCHEDULE_SECONDS} s")


def _share(rig: Rig, campaign: ModuleType, given: argparse.Namespace) -> list[Job]:
    if given.only:
        return [(given.only, given.seed)]
    jobs: list[Job] = campaign.plan(rig, seed=given.seed, count=given.count, short=given.short)
    return jobs[given.shard :: given.shards]


def _tell(outcome: Outcome, given: argparse.Namespace) -> None:
    if not outcome.violations and not given.verbose:
        return
    fired = sum(outcome.fired.values())
    sys.stdout.write(
        f"{outcome.campaign} {outcome.engine} {outcome.name} seed {outcome.seed}: armed "
        f"{outcome.armed}, fired {fired}, kills {outcome.kills}, passes to quiet {outcome.passes}, "
        f"{outcome.seconds} s\n"
    )
    for text in outcome.violations:
        sys.stdout.write(f"  VIOLATION {text}\n")
    if outcome.violations:
        sys.stdout.write(
            f"  replay: script/campaign {outcome.campaign} --engine {given.engine} "
            f"--seed {outcome.seed} --only '{outcome.name}'\n"
        )
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="campaigns.worker")
    parser.add_argument("campaign", choices=[*CAMPAIGNS, "short"])
    parser.add_argument("engine", choices=["sqlite", "postgres"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
