"""The short sets of the campaigns: a few schedules of each, on the engine of this run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

PROJECT = Path(__file__).resolve().parents[2]
LONGEST_SECONDS = 240


@pytest.mark.campaign
def test_no_promise_is_broken_in_the_short_sets(tmp_path):
    database = settings.DATABASES["default"]
    engine = "sqlite" if "sqlite" in database["ENGINE"] else "postgres"
    out = tmp_path / "outcomes.jsonl"
    command = [sys.executable, "-m", "campaigns", "all", "--short", "--engine", engine]

    ran = subprocess.run(
        [*command, "--workers", "1", "--out", str(out)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    outcomes = [json.loads(line) for line in out.read_text().splitlines()][1:]
    played = {row["campaign"] for row in outcomes if row["counts"]}
    assert played - {"races"} == {"faults", "kills", "fuzz", "random"}
    assert ("races" in played) is (engine == "postgres")
