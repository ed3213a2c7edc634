"""Runs the tests that must catch a mutant, in a copy of the tree that has it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from campaigns.mutants.patching import Mutant, StaleMutant

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 600
TESTS_PASSED, TESTS_FAILED = 0, 1  # pytest's exit codes; any other one is no verdict


class Verdict(StrEnum):
    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    STALE = "STALE"  # the source changed under the mutant
    BROKEN = "BROKEN"  # the tests could not be run: that is no verdict


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    told: str = ""  # the end of the tests' output, when it is not as it should be


def try_mutant(mutant: Mutant, tree: Path) -> Outcome:
    """Put the mutant into the copy, run its tests, and take it out again."""
    began = time.monotonic()
    try:
        wrong = mutant.sources(tree)
    except StaleMutant as exc:
        return Outcome(mutant, Verdict.STALE, 0.0, str(exc))
    right = {path: (path.read_text(), path.stat()) for path in wrong}
    try:
        for path, source in wrong.items():
            path.write_text(source)
        code, told = run_tests(mutant.caught_by, tree)
    finally:
        for path, (source, stat) in right.items():
            path.write_text(source)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    verdict = {TESTS_FAILED: Verdict.CAUGHT, TESTS_PASSED: Verdict.SURVIVED}.get(code)
    seconds = time.monotonic() - began
    return Outcome(mutant, verdict or Verdict.BROKEN, seconds, told)


def run_tests(tests: tuple[str, ...], tree: Path) -> tuple[int, str]:
    """Run these tests in the copy; return pytest's exit code and its last words."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {
        **os.environ,
        # A wrong source of the same length and second must not be mistaken for the right one.
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": "",
        "LOANPOLL_PROPERTY_EXAMPLES": "200",
    }
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end after {PATIENCE_SECONDS} s"
    return done.returncode, (done.stdout + done.stderr)[-3000:]


def all_tests(mutants: list[Mutant]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(test for mutant in mutants for test in mutant.caught_by))
