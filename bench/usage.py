"""What processes cost: CPU seconds and peak memory, read from the operating system."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU is user and system together; memory is the sum of every process's own peak."""

    cpu_seconds: float
    peak_mib: float


def usage_of(pids: Iterable[int]) -> Usage:
    """Return what these processes and their living children have used until now."""
    cpu = peak = 0.0
    for pid in family(pids):
        with suppress(OSError):  # it has just ended
            cpu += _cpu_seconds(pid)
            peak += _peak_mib(pid)
    return Usage(cpu, peak)


def family(pids: Iterable[int]) -> set[int]:
    """Return the processes and all that descend from them."""
    parents = {pid: _parent(pid) for pid in _all_processes()}
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def machine() -> str:
    """Return the machine in one line, for the head of a table."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(_stat(pid)[1])
    return 0


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    # utime, stime and, of children that have ended, cutime and cstime (man 5 proc).
    return sum(int(each) for each in fields[11:15]) / TICKS


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()  # a name may hold blanks


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
