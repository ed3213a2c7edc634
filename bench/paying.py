"""What every measurement of payments shares: run until all is recorded, and count what it took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.databases import connect
from bench.stage import Latencies, Stage, stage
from bench.usage import Usage, usage_of
from sandbox.world import SampleWorld

PATIENCE_SECONDS = 3600.0
THREADS = 64  # of the pass, of all workers together, and of the floor
GLANCE_SECONDS = 0.1
QUEUE = {"LOANPOLL_TASKS": "queue"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Paid:
    """One run from approval to `disbursed`."""

    name: str
    loans: int
    seconds: float
    cpu_ms: float  # per loan, in the product's own processes
    calls: float  # HTTP calls per loan
    peak_mib: float
    sandbox_ms: float = 0.0  # CPU per loan in the sandbox, on the same cores
    statements: float | None = None  # per loan

    @property
    def per_second(self) -> float:
        return self.loans / self.seconds

    @property
    def cores(self) -> float:
        """Return how many cores the product's own processes kept busy."""
        return self.per_second * self.cpu_ms / 1000


def pay_inline(
    kind: str,
    world: SampleWorld,
    *,
    past: int = 0,
    threads: int = THREADS,
    latencies: Latencies | None = None,
) -> Paid:
    """Pay a world's loans by passes of one process, beside one web process for the callbacks.

    `past` loans were paid and recorded in the year before.
    """
    partner = {"mifos_concurrency": threads}
    with stage(kind, world, latencies=latencies, partner=partner) as made:
        write_past(made, past)
        made.start_web()
        before = made.used()
        began = time.monotonic()
        while _recorded(made) < len(world.payable):
            _pass(made)
        return _paid(f"pass, {kind}", made, world, began, before)


def pay_queued(
    workers: int, world: SampleWorld, *, threads: int = 0, latencies: Latencies | None = None
) -> Paid:
    """Pay a world's loans by workers, beside one web process for the callbacks."""
    with stage("postgres", world, latencies=latencies, settings=QUEUE) as made:
        made.start_web()
        before = made.used()
        began = time.monotonic()
        hire(made, workers, threads=threads)
        wait_for_books(made, len(world.payable))
        return _paid(f"queue, {workers} workers", made, world, began, before)


def write_past(made: Stage, loans: int) -> None:
    """Put a year of finished loans into the product's tables; that costs the product nothing."""
    if not loans:
        return
    process = made.start_module("bench.history", str(loans))
    process.wait()
    made.processes.remove(process)
    if process.returncode:
        raise SystemExit((made.folder / "log").read_text())


def hire(made: Stage, workers: int, *, threads: int = 0) -> list[subprocess.Popen[bytes]]:
    """Start workers that together hold THREADS jobs, or `threads` each."""
    each = threads or max(8, THREADS // workers)
    return [made.start("worker", "--concurrency", str(each)) for _ in range(workers)]


def wait_for_books(made: Stage, loans: int) -> None:
    """Wait until Mifos X has recorded so many loans."""
    until = time.monotonic() + PATIENCE_SECONDS
    while _recorded(made) < loans:
        if time.monotonic() > until:
            raise SystemExit(f"only {_recorded(made)} of {loans} loans were recorded")
        time.sleep(GLANCE_SECONDS)


def check_books(made: Stage, loans: int) -> list[str]:
    """Compare the three books; return what is wrong."""
    debits = made.control.debits()
    book = made.control.book()["transactions"]
    db = connect(made.database_url)
    ours = dict(db.execute("SELECT status, count(*) FROM loan_tracking GROUP BY 1").fetchall())
    receipts = {row[0] for row in db.execute("SELECT mpesa_receipt_number FROM loan_tracking")}
    db.close()
    wrong = []
    if Counter(debit["ocid"] for debit in debits).most_common(1)[0][1] != 1 or len(debits) != loans:
        wrong.append(f"M-Pesa paid {len(debits)} times for {loans} loans")
    if len(book) != loans:
        wrong.append(f"Mifos X has {len(book)} disbursals for {loans} loans")
    if ours != {"disbursed": loans}:
        wrong.append(f"our book says {ours}")
    if receipts != {debit["receipt"] for debit in debits}:
        wrong.append("the receipts differ")
    return wrong


def statements_per_loan(kind: str, world: SampleWorld, *, queued: bool = False) -> float:
    """Count the statements of all processes in a run of its own, so that counting costs nobody."""
    with stage(kind, world, settings=QUEUE if queued else None) as made:
        made.environment["BENCH_COUNTS"] = str(made.folder / "counts")
        made.start_web(application="bench.counted:application")
        if queued:
            made.start_module("bench.counted", "worker", "--concurrency", "8")
            wait_for_books(made, len(world.payable))
        else:
            made.start_module("bench.counted", "scheduled_loan_sync", "--wait", "30").wait()
        made.stop()
        return sum(map(_statements_in, made.folder.glob("counts.*"))) / len(world.payable)


def beside(module: str, work: str) -> dict[str, float]:
    """Run a baseline in a process of its own; return what it measured of itself."""
    ran = subprocess.run(
        [sys.executable, "-m", module], input=work, capture_output=True, text=True, check=True
    )
    return dict(json.loads(ran.stdout))


def http_calls(made: Stage) -> int:
    """Return how many calls both systems have answered."""
    counts = made.control.requests()["counts"]
    return sum(sum(calls.values()) for calls in counts.values())


def watched(made: Stage, process: subprocess.Popen[bytes]) -> Usage:
    """Wait for a process to end; return what it had used just before."""
    last = Usage(0.0, 0.0)
    while process.poll() is None:
        last = usage_of([process.pid])
        time.sleep(GLANCE_SECONDS)
    made.processes.remove(process)
    return last


def _pass(made: Stage) -> None:
    made.note_spent(watched(made, made.start("scheduled_loan_sync", "--wait", "5")))


def _paid(name: str, made: Stage, world: SampleWorld, began: float, before: Usage) -> Paid:
    seconds = time.monotonic() - began
    used, loans = made.used(), len(world.payable)
    return Paid(
        name=name,
        loans=loans,
        seconds=seconds,
        cpu_ms=(used.cpu_seconds - before.cpu_seconds) * 1000 / loans,
        calls=http_calls(made) / loans,
        peak_mib=used.peak_mib,
        sandbox_ms=made.sandbox_cpu_seconds() * 1000 / loans,
    )


def _recorded(made: Stage) -> int:
    return made.control.count("mifos", "disburse")


def _statements_in(path: Path) -> int:
    return int(json.loads(path.read_text())["statements"])
