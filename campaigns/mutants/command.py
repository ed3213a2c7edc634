"""Lists the mutants, or tries them two at a time and prints who was caught."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from campaigns.mutants.catalogue import MUTANTS
from campaigns.mutants.patching import Mutant
from campaigns.mutants.running import (
    Outcome,
    Verdict,
    all_tests,
    run_tests,
    try_mutant,
)
from campaigns.origin import keep
from campaigns.trees import copied_tree


def main(arguments: list[str]) -> int:
    """Run the command; return 1 when a mutant is not caught, 2 when there is none to try."""
    given = _parser().parse_args(arguments)
    chosen = [each for each in MUTANTS if _is_wanted(each, given)]
    if not chosen:
        sys.stderr.write("no mutant has this name; --list shows them\n")
        return 2
    if given.list:
        for mutant in chosen:
            sys.stdout.write(f"{mutant.name:36} {mutant.why}\n")
        return 0
    return _try_all(chosen, workers=given.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/campaign mutants", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="mutants whose name contains this"
    )
    parser.add_argument("--quick", action="store_true", help="the short set of script/test")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--workers", type=int, default=2)
    return parser


def _is_wanted(mutant: Mutant, given: argparse.Namespace) -> bool:
    is_named = not given.only or any(name in mutant.name for name in given.only)
    return is_named and (mutant.quick or not given.quick)


def _try_all(chosen: list[Mutant], *, workers: int) -> int:
    began = time.monotonic()
    with ExitStack() as stack:
        trees = [stack.enter_context(copied_tree()) for _ in range(min(workers, len(chosen)))]
        code, told = run_tests(all_tests(chosen), trees[0])
        if code != 0:
            sys.stdout.write(f"{told}\nthe tests fail without any mutant: nothing was tried\n")
            return 1
        outcomes = list(_told(_tried(chosen, trees)))
    caught = sum(each.verdict == Verdict.CAUGHT for each in outcomes)
    seconds = time.monotonic() - began
    sys.stdout.write(f"{caught} of {len(outcomes)} mutants caught in {seconds:.0f} s\n")
    if len(chosen) == len(MUTANTS):
        _keep(outcomes, seconds)
    return 0 if caught == len(outcomes) else 1


def _keep(outcomes: list[Outcome], seconds: float) -> None:
    rest = [each for each in outcomes if each.verdict != Verdict.CAUGHT]
    keep(
        "mutants",
        command="script/campaign mutants",
        known=len(MUTANTS),
        tried=len(outcomes),
        caught=len(outcomes) - len(rest),
        not_caught={each.mutant.name: each.verdict.value for each in rest},
        seconds=round(seconds),
    )


def _tried(chosen: list[Mutant], trees: list[Path]) -> Iterator[Outcome]:
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> Outcome:
        tree = free.get()
        try:
            return try_mutant(mutant, tree)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(max_workers=len(trees)) as pool:
        yield from pool.map(one, chosen)


def _told(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        name = outcome.mutant.name
        sys.stdout.write(f"{outcome.verdict.value:9} {outcome.seconds:5.1f} s  {name}\n")
        if outcome.verdict != Verdict.CAUGHT:
            sys.stdout.write(f"    {outcome.mutant.why}\n{outcome.told}\n")
        sys.stdout.flush()
        yield outcome
