"""Where and when a run was made, and what the report shows beside the schedules."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / ".campaigns"


def origin() -> dict[str, Any]:
    """Return commit, machine and time: no figure means anything without them."""
    return {
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}",
        "started": datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]  # from the PATH, as a developer has it
    found = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    return found.stdout.strip() or "unknown"


def keep(name: str, **facts: Any) -> None:
    """Keep the result of a run of `name` for the report, in place of the one before."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({**origin(), **facts}, indent=1) + "\n")


def kept(name: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None
