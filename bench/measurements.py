"""What `script/bench` measures: each function returns one table."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import knocking
from bench.databases import connect, database
from bench.desk import desk
from bench.floor import Work, as_argument
from bench.paying import (
    QUEUE,
    THREADS,
    Paid,
    beside,
    check_books,
    hire,
    pay_inline,
    pay_queued,
    statements_per_loan,
    wait_for_books,
    watched,
)
from bench.stage import Latencies, Stage, one_lender, stage
from bench.table import Table
from bench.usage import machine
from sandbox.running import sandbox_process
from sandbox.world import SampleWorld, partner_rows

COUNTED_LOANS = 60  # enough for a number per loan: counting is a run of its own
LOOP_LOANS = 60
COLUMNS = (
    "case", "loans", "loans/s", "CPU ms/loan", "HTTP calls/loan", "statements/loan", "peak MiB",
    "CPU : floor",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How large the measurements are."""

    loans: int
    known: int
    seconds: int
    growth: tuple[int, ...]
    workers: tuple[int, ...]
    tracked: int = 1_000_000


QUICK = Sizes(
    loans=400, known=4000, seconds=30, growth=(200, 800), workers=(1, 2, 4), tracked=20_000
)
FULL = Sizes(
    loans=5000, known=100_000, seconds=600, growth=(1000, 10_000, 100_000), workers=(1, 2, 4, 8)
)


def pay(sizes: Sizes) -> Table:
    """Issue 4, number 1: approved loans to `disbursed`, beside the plain loop and the floor."""
    world = one_lender(sizes.loans)
    floors = {kind: _beside("floor", kind, world) for kind in ("sqlite", "postgres")}
    cases = [_beside("loop", "sqlite", one_lender(LOOP_LOANS)), *floors.values()]
    counts = _statement_counts()
    cases += [pay_inline(kind, world) for kind in ("sqlite", "postgres")]
    cases += [pay_queued(workers, world) for workers in (1, 2, 4)]
    rows = [_row(case, floors, counts) for case in cases]
    ideal = sizes.loans * 0.4 / THREADS
    notes = (
        f"Mifos X 50 ms, M-Pesa 150 ms, callback after 1 s; {THREADS} calls at a time in all",
        f"ideal for the waiting alone (calls × latency ÷ concurrency): {ideal:.1f} s "
        f"= {sizes.loans / ideal:.0f} loans/s",
        "CPU and memory are of all the product's own processes: pass or workers, and web",
        "the plain loop looks at nothing twice, and records in the pass after the payment",
    )
    return Table(title="Pay", columns=COLUMNS, rows=rows, notes=notes)


def poll(sizes: Sizes) -> Table:
    """Number 2: a pass over loans that are all known already, beside reading the pages alone."""
    world = one_lender(sizes.known)
    rows = []
    for kind in ("sqlite", "postgres"):
        with stage(kind, world, latencies=Latencies(mifos=0)) as made:
            first = watched(made, made.start("fetch_pending_loans")).peak_mib
            made.control.options(mifos_latency=0.05)
            pages = made.control.count("mifos", "loans_list")
            usage = watched(made, made.start("fetch_pending_loans"))
            pages = made.control.count("mifos", "loans_list") - pages
            alone = _read_pages_alone(made)
            seconds = _last_fetch_seconds(made)
            rows.append(
                (kind, sizes.known, pages, alone, seconds, seconds / alone, usage.peak_mib, first)
            )
    columns = (
        "database", "known loans", "list calls", "pages alone s", "pass s", "ratio", "peak MiB",
        "peak MiB, all new",
    )  # fmt: skip
    notes = ("the pages alone: by the product's own client, typed, in a process of its own",)
    return Table(title="Poll", columns=columns, rows=rows, notes=notes)


def pace(sizes: Sizes) -> Table:
    """Number 3: ten payments a second for one shortcode, held by four workers together."""
    loans = 10 * sizes.seconds
    world = one_lender(loans)
    ten = {"mpesa_payments_per_second": "10"}
    with stage("postgres", world, partner=ten, settings=QUEUE) as made:
        made.start_web()
        hire(made, 4)
        wait_for_books(made, loans)
        at = sorted(request["at"] for request in made.control.ledger()["requests"])
        slots = _most_in_a_second(at)
        used = (len(at) - 1) / (at[-1] - at[0]) / 10
    rows: list[tuple[object, ...]] = [("one partner", loans, at[-1] - at[0], f"{used:.1%}", slots)]
    rows.append(_small_partner_first(sizes))
    columns = ("case", "payments", "seconds", "pace used", "most in any second")
    notes = (
        "counted where M-Pesa receives them: the way there lets two arrive closer together than "
        "they left, so 11 in a second of arrivals is no 11th slot",
        "two partners on two shortcodes, open pace: when the last payment of the small one arrived",
    )
    return Table(title="Contract rate", columns=columns, rows=rows, notes=notes)


def callbacks(sizes: Sizes) -> Table:
    """Number 4: letters to one web process, true ones alone and beside a flood of forged ones."""
    rows: list[tuple[object, ...]] = []
    for kind, tasks in (("sqlite", "inline"), ("postgres", "inline"), ("postgres", "queue")):
        quiet = _knock(kind, tasks, sizes, forged=0)
        flooded = _knock(kind, tasks, sizes, forged=4)
        ratio = flooded.median_ms / quiet.median_ms
        rows.append((f"{kind}, {tasks}", *_told(quiet), ""))
        rows.append((f"{kind}, {tasks}, flooded", *_told(flooded), ratio))
    columns = ("case", "letters", "letters/s", "p50 ms", "p99 ms", "forged/s", "p50 ratio")
    notes = (
        "one gunicorn process with 16 threads; 8 callers at a time, each waits for its answer",
        "an answer means that the letter is committed; inline it is applied before the answer, "
        "with the queue a worker applies it after",
    )
    return Table(title="Callbacks", columns=columns, rows=rows, notes=notes)


def workers(sizes: Sizes) -> list[Table]:
    """Number 8, and three of four workers killed in the middle of a run."""
    return [_more_workers(sizes), _killed_workers(sizes)]


def growth(sizes: Sizes) -> Table:
    """Number 7: the cost of a loan, as the number of loans grows."""
    rows = []
    first = 0.0
    for loans in sizes.growth:
        paid = pay_inline("postgres", one_lender(loans))
        first = first or paid.cpu_ms
        rows.append((loans, paid.per_second, paid.cpu_ms, paid.cpu_ms / first, paid.peak_mib))
    columns = ("loans", "loans/s", "CPU ms/loan", "ratio to the first", "peak MiB")
    notes = ("start-up of the processes (about 3 s of CPU in all) is in every row",)
    return Table(title="Growth", columns=columns, rows=rows, notes=notes)


def _row(case: Paid, floors: dict[str, Paid], counts: dict[str, float]) -> tuple[object, ...]:
    kind = "sqlite" if "sqlite" in case.name else "postgres"
    shown = counts.get("queue" if case.name.startswith("queue") else case.name, "")
    ratio = f"{case.cpu_ms / floors[kind].cpu_ms:.1f}×"
    told = (case.name, case.loans, case.per_second, case.cpu_ms, case.calls)
    return (*told, shown, case.peak_mib, ratio)


def _statement_counts() -> dict[str, float]:
    small = one_lender(COUNTED_LOANS)
    counted = {f"pass, {kind}": statements_per_loan(kind, small) for kind in ("sqlite", "postgres")}
    return {**counted, "queue": statements_per_loan("postgres", small, queued=True)}


def _beside(mode: str, kind: str, world: SampleWorld) -> Paid:
    """Measure the floor or the plain loop over a sandbox and a database of their own."""
    with (
        TemporaryDirectory(prefix="loanpoll-bench-") as folder,
        sandbox_process(
            world=world.document, mifos_latency=0.05, mpesa_latency=0.15, callback_delay=1.0
        ) as control,
        database(kind, Path(folder)) as url,
    ):
        work = Work(
            mode=mode,
            url=url,
            loans=[
                [loan.loan_id, loan.client_id, loan.msisdn, str(loan.net), str(loan.principal)]
                for loan in world.payable
            ],
            partner=partner_rows(world.document, control.mifos_url)[0],
            mpesa_url=control.mpesa_url,
            threads=THREADS,
        )
        took = beside("bench.floor", as_argument(work))
        counts = control.requests()["counts"]
    loans = len(world.payable)
    return Paid(
        name=f"{'floor' if mode == 'floor' else 'plain loop'}, {kind}",
        loans=loans,
        seconds=took["seconds"],
        cpu_ms=took["cpu_seconds"] * 1000 / loans,
        calls=sum(sum(calls.values()) for calls in counts.values()) / loans,
        peak_mib=took["peak_mib"],
    )


def _read_pages_alone(made: Stage) -> float:
    process = made.start_module("bench.pages")
    process.wait()
    made.processes.remove(process)
    return float((made.folder / "pages").read_text())


def _last_fetch_seconds(made: Stage) -> float:
    query = "SELECT summary FROM sync_runs ORDER BY id DESC LIMIT 1"
    summary = made.row(query)[0]
    told = json.loads(summary) if isinstance(summary, str) else summary
    return float(told["fetch"][0]["seconds"])


def _most_in_a_second(at: list[float]) -> int:
    most = first = 0
    for last, moment in enumerate(at):
        while at[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _small_partner_first(sizes: Sizes) -> tuple[object, ...]:
    world = one_lender(sizes.loans, tenants=1)
    small = _second_lender(world, loans=10)
    with stage("postgres", world, settings=QUEUE) as made:
        made.start_web()
        hire(made, 4)
        wait_for_books(made, len(world.payable))
        requests = made.control.ledger()["requests"]
    of_small = [r["at"] for r in requests if str(r["fields"]["PartyA"]) == small]
    first = min(request["at"] for request in requests)
    whole = max(request["at"] for request in requests) - first
    case = f"{sizes.loans} and 10 loans: the small one done after"
    return (case, len(requests), max(of_small) - first, f"of {whole:.1f} s", "")


def _second_lender(world: SampleWorld, *, loans: int) -> str:
    """Add a small lender to a world; return its shortcode."""
    other = one_lender(loans * 2, tenants=2)
    name = other.document["tenants"][1]["name"]
    for part in ("tenants", "shortcodes", "partners"):
        world.document[part].append(other.document[part][1])
    world.loans += [loan for loan in other.loans if loan.tenant == name]
    return str(other.document["shortcodes"][1]["shortcode"])


def _knock(kind: str, tasks: str, sizes: Sizes, *, forged: int) -> knocking.Heard:
    """Pay with the letters held back, then deliver them ourselves, and time the answers."""
    world = one_lender(sizes.loans)
    with stage(kind, world, settings={"LOANPOLL_TASKS": tasks}) as made:
        made.control.options(hold_callbacks=True)
        made.start_web()
        if tasks == "queue":
            [worker] = hire(made, 1)
            _wait_for_payments(made, sizes.loans)
            worker.send_signal(signal.SIGTERM)  # the web process is measured, not the worker
            worker.wait()
            made.processes.remove(worker)
        else:
            made.manage("scheduled_loan_sync")
        letters = made.control.callbacks(bodies=True)["callbacks"]
        return knocking.deliver(letters, forged=forged)


def _wait_for_payments(made: Stage, loans: int) -> None:
    while made.control.count("mpesa", "b2c") < loans:
        time.sleep(0.2)
    time.sleep(2)


def _told(heard: knocking.Heard) -> tuple[object, ...]:
    return (heard.letters, heard.per_second, heard.median_ms, heard.p99_ms, heard.forged_per_second)


def _more_workers(sizes: Sizes) -> Table:
    world = one_lender(sizes.loans)
    slow = Latencies(mifos=0.5, mpesa=0.5, callback=1.0)
    rows: list[tuple[object, ...]] = []
    first = 0.0
    for number in sizes.workers:
        paid = pay_queued(number, world, threads=16, latencies=slow)
        first = first or paid.per_second
        rows.append((number, paid.per_second, paid.per_second / first, paid.cpu_ms, paid.peak_mib))
    columns = ("workers", "loans/s", "times one worker", "CPU ms/loan", "peak MiB")
    notes = ("every answer takes 500 ms; 16 jobs at a time in each worker",)
    return Table(title="More workers", columns=columns, rows=rows, notes=notes)


def _killed_workers(sizes: Sizes) -> Table:
    world = one_lender(sizes.loans)
    clock = {"LOANPOLL_HTTP_CONNECT_TIMEOUT": "1", "LOANPOLL_HTTP_READ_TIMEOUT": "5"}
    with stage("postgres", world, settings={**QUEUE, **clock}) as made:
        made.start_web()
        began = time.monotonic()
        hired = hire(made, 4)
        wait_for_books(made, sizes.loans // 4)
        for worker in hired[:3]:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            made.processes.remove(worker)
        killed = time.monotonic()
        orphans = _jobs_of_the_dead(made)
        while _jobs_of_the_dead(made) & orphans:
            time.sleep(0.1)
        freed = time.monotonic() - killed
        wait_for_books(made, sizes.loans)
        finished = time.monotonic()
        time.sleep(2)
        wrong = check_books(made, sizes.loans)
    row = (
        sizes.loans, len(orphans), freed, finished - killed, finished - began,
        "; ".join(wrong) or "equal",
    )  # fmt: skip
    columns = (
        "loans", "jobs in dead hands", "taken over after s", "finished after the kill s", "whole s",
        "three books",
    )  # fmt: skip
    notes = (
        "three of four workers, SIGKILL, when a quarter of the loans were recorded",
        "a payment that was under way in a dead worker is asked about after "
        "10 s + 4 × (connect + read time-out); here 34 s",
    )
    return Table(title="Killed workers", columns=columns, rows=[row], notes=notes)


def _jobs_of_the_dead(made: Stage) -> set[int]:
    """Return the jobs being done by workers that have been silent for two heartbeats or more."""
    db = connect(made.database_url)
    rows = db.execute(
        "SELECT j.id FROM procrastinate_jobs j JOIN procrastinate_workers w ON w.id = j.worker_id "
        "WHERE j.status = 'doing' AND w.id <> (SELECT id FROM procrastinate_workers "
        "ORDER BY last_heartbeat DESC, id LIMIT 1)"
    ).fetchall()
    db.close()
    return {row[0] for row in rows}


Measurement = Callable[[Sizes], Table | Iterable[Table]]
ALL: dict[str, Measurement] = {
    "pay": pay,
    "poll": poll,
    "pace": pace,
    "callbacks": callbacks,
    "workers": workers,
    "growth": growth,
    "pages": lambda sizes: desk(sizes.tracked),
}


def run(names: list[str], sizes: Sizes) -> Iterator[Table]:
    """Measure; yield each table as it is ready."""
    for name in names:
        found = ALL[name](sizes)
        yield from [found] if isinstance(found, Table) else found


def head() -> str:
    """Return what every printed run begins with."""
    return f"{machine()}\nSandbox, database and load on the same machine."
