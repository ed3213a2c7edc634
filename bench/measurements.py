"""What `script/bench` measures: each function returns one table."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import knocking, phone
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
CALLS_OF_A_LOAN = 7  # script/cost
COLUMNS = (
    "case", "loans", "loans/s", "CPU ms/loan", "HTTP calls/loan", "statements/loan", "peak MiB",
    "CPU : floor", "sandbox CPU ms/loan",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How large the measurements are."""

    loans: int  # in each case of `pay`, and in the run in which workers are killed
    known: int  # loans of `poll`
    seconds: int  # of `pace`
    large: int  # loans of the large partner beside the small one
    letters: int  # callbacks to deliver
    approvals: int  # in each case of `phone`
    growth: tuple[int, ...]
    past: int  # loans of the year before
    slow: int  # loans of `workers`, at 500 ms
    workers: tuple[int, ...]
    tracked: int = 1_000_000


QUICK = Sizes(
    loans=400,
    known=4000,
    seconds=30,
    large=400,
    letters=500,
    approvals=10,
    growth=(200, 800),
    past=5000,
    slow=300,
    workers=(1, 2, 4),
    tracked=20_000,
)
HOUR = Sizes(
    loans=1500,
    known=20_000,
    seconds=240,
    large=1500,
    letters=1500,
    approvals=50,
    growth=(500, 5000, 20_000),
    past=50_000,
    slow=600,
    workers=(1, 2, 4, 8),
)
FULL = Sizes(
    loans=5000,
    known=100_000,
    seconds=600,
    large=10_000,
    letters=5000,
    approvals=200,
    growth=(1000, 10_000, 100_000),
    past=120_000,
    slow=5000,
    workers=(1, 2, 4, 8),
)
CALLERS = (1, 2, 4, 8)
CALLERS_IN_THE_FLOOD = 2
FORGERS = 4


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
        "CPU and memory are of all the product's own processes: pass or workers, and web; the "
        "database server's are not in it, nor in the floor's",
        "the sandbox runs on the same cores: its column and the CPU before it share them",
        "the plain loop looks at nothing twice, and records in the pass after the payment",
    )
    return Table(title="Pay", columns=COLUMNS, rows=rows, notes=notes)


def overlap(sizes: Sizes) -> Table:
    """Is the waiting overlapped? A pass in which waiting is nearly all, beside the ideal."""
    world = one_lender(sizes.slow // 2)
    slow = Latencies(mifos=0.5, mpesa=0.5, callback=1.0)
    rows: list[tuple[object, ...]] = []
    for kind, threads in (("sqlite", 8), ("sqlite", 16), ("postgres", 16)):
        paid = pay_inline(kind, world, threads=threads, latencies=slow)
        ideal = paid.loans * CALLS_OF_A_LOAN * 0.5 / threads
        rows.append((kind, threads, paid.loans, ideal, paid.seconds, paid.seconds / ideal))
    columns = ("database", "calls at a time", "loans", "ideal s", "took s", "ratio")
    notes = (
        f"every answer takes 500 ms; ideal: {CALLS_OF_A_LOAN} calls a loan × latency ÷ calls at a "
        "time; took: from the first list page to the last verified record, callbacks after 1 s",
    )
    return Table(title="Overlap", columns=columns, rows=rows, notes=notes)


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
        rows += _knock(kind, tasks, sizes)
    columns = (
        "case", "callers", "letters", "kept", "letters/s", "p50 ms", "p99 ms", "forged/s",
        "p50 ratio",
    )  # fmt: skip
    notes = (
        "one gunicorn process with 16 threads; each caller waits for its answer. The sustained "
        "rate with p99 under 50 ms is the highest of the rows that keep it",
        "an answer means that the letter is committed; inline it is applied before the answer, "
        "with the queue a worker applies it after",
        "kept: rows in the product's table when the last answer had come",
        f"the flood: {FORGERS} endless forgers with wrong tokens, from a process of their own",
    )
    return Table(title="Callbacks", columns=columns, rows=rows, notes=notes)


def to_phone(sizes: Sizes) -> Table:
    """Number 5: from the approval in Mifos X until M-Pesa has the payment."""
    ways = {
        "poll, pass from cron, sqlite": phone.poll_inline,
        "poll, one worker, postgres": phone.poll_queued,
        "hook, web process, sqlite": phone.hook_inline,
        "hook, one worker, postgres": phone.hook_queued,
    }
    rows = [
        (name, sizes.approvals, *phone.in_short(way(sizes.approvals))) for name, way in ways.items()
    ]
    columns = ("way", "loans", "p50 s", "p95 s", "longest s")
    notes = (
        f"an approval every {phone.SECONDS_BETWEEN_APPROVALS} s; a poll every "
        f"{phone.POLL_SECONDS:.0f} s, so that half of it is waiting in the mean. With the usual "
        "300 s that half is 150 s, and the rest stays",
        "until M-Pesa has received the order; its own way to the phone is not ours",
    )
    return Table(title="Time to phone", columns=columns, rows=rows, notes=notes)


def workers(sizes: Sizes) -> list[Table]:
    """Number 8, and three of four workers killed in the middle of a run."""
    return [_more_workers(sizes), _killed_workers(sizes)]


def growth(sizes: Sizes) -> list[Table]:
    """Number 7: the cost of a loan as the number of loans grows, and beside a year of history."""
    return [_more_loans(sizes), _year_of_history(sizes)]


def _year_of_history(sizes: Sizes) -> Table:
    rows: list[tuple[object, ...]] = []
    for kind in ("sqlite", "postgres"):
        first = 0.0
        for past in (0, sizes.past):
            paid = pay_inline(kind, one_lender(sizes.loans), past=past)
            first = first or paid.cpu_ms
            rows.append((kind, past, paid.loans, paid.per_second, paid.cpu_ms, paid.cpu_ms / first))
    columns = ("database", "paid in the year before", "loans", "loans/s", "CPU ms/loan", "ratio")
    notes = ("the past: loans, attempts, requests, callbacks and four events each, over 365 days",)
    return Table(title="A year of history", columns=columns, rows=rows, notes=notes)


def _more_loans(sizes: Sizes) -> Table:
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
    return (*told, shown, case.peak_mib, ratio, case.sandbox_ms or "")


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
    world = one_lender(sizes.large, tenants=1)
    small = _second_lender(world, loans=10)
    with stage("postgres", world, settings=QUEUE) as made:
        made.start_web()
        hire(made, 4)
        wait_for_books(made, len(world.payable))
        requests = made.control.ledger()["requests"]
    of_small = [r["at"] for r in requests if str(r["fields"]["PartyA"]) == small]
    first = min(request["at"] for request in requests)
    whole = max(request["at"] for request in requests) - first
    case = f"{sizes.large} and 10 loans: the small one done after"
    return (case, len(requests), max(of_small) - first, f"of {whole:.1f} s", "")


def _second_lender(world: SampleWorld, *, loans: int) -> str:
    """Add a small lender to a world; return its shortcode."""
    other = one_lender(loans * 2, tenants=2)
    name = other.document["tenants"][1]["name"]
    for part in ("tenants", "shortcodes", "partners"):
        world.document[part].append(other.document[part][1])
    world.loans += [loan for loan in other.loans if loan.tenant == name]
    return str(other.document["shortcodes"][1]["shortcode"])


def _knock(kind: str, tasks: str, sizes: Sizes) -> list[tuple[object, ...]]:
    """Pay with the letters held back, then deliver them ourselves, and time the answers."""
    world = one_lender(sizes.letters)
    with stage(kind, world, settings={"LOANPOLL_TASKS": tasks}) as made:
        made.control.options(hold_callbacks=True)
        made.start_web()
        if tasks == "queue":
            [worker] = hire(made, 1)
            _wait_for_payments(made, sizes.letters)
            worker.send_signal(signal.SIGTERM)  # the web process is measured, not the worker
            worker.wait()
            made.processes.remove(worker)
        else:
            made.manage("scheduled_loan_sync")
        return _knocks(f"{kind}, {tasks}", made)


def _knocks(case: str, made: Stage) -> list[tuple[object, ...]]:
    """Deliver a share of the letters by each number of callers, and the last in the flood."""
    letters = made.control.callbacks(bodies=True)["letters"]
    knocking.warm(letters[0]["url"])
    share = len(letters) // (len(CALLERS) + 1)
    rows: list[tuple[object, ...]] = []
    quiet: dict[int, float] = {}
    for number, callers in enumerate((*CALLERS, CALLERS_IN_THE_FLOOD)):
        forged = FORGERS if callers in quiet else 0
        mine = letters[number * share : (number + 1) * share]
        heard = knocking.deliver(mine, callers=callers, forged=forged)
        ratio = heard.median_ms / quiet[callers] if forged else ""
        quiet[callers] = heard.median_ms
        rows.append((case, *_told(heard, kept=_kept(made) - number * share), ratio))
    return rows


def _kept(made: Stage) -> int:
    return int(made.row("SELECT count(*) FROM mpesa_callbacks")[0])


def _wait_for_payments(made: Stage, loans: int) -> None:
    while made.control.count("mpesa", "b2c") < loans:
        time.sleep(0.2)
    time.sleep(2)


def _told(heard: knocking.Heard, *, kept: int) -> tuple[object, ...]:
    times = (heard.per_second, heard.median_ms, heard.p99_ms, heard.forged_per_second)
    return (heard.callers, heard.letters, kept, *times)


def _more_workers(sizes: Sizes) -> Table:
    world = one_lender(sizes.slow)
    slow = Latencies(mifos=0.5, mpesa=0.5, callback=1.0)
    rows: list[tuple[object, ...]] = []
    first = 0.0
    for number in sizes.workers:
        paid = pay_queued(number, world, threads=16, latencies=slow)
        first = first or paid.per_second
        rows.append(
            (
                number, paid.per_second, paid.per_second / first, paid.cpu_ms, paid.cores,
                paid.sandbox_ms * paid.per_second / 1000, paid.peak_mib,
            )
        )  # fmt: skip
    columns = (
        "workers", "loans/s", "times one worker", "CPU ms/loan", "cores busy", "sandbox's cores",
        "peak MiB",
    )  # fmt: skip
    notes = (
        f"{sizes.slow} loans; every answer takes 500 ms; 16 jobs at a time in each worker",
        "it bends where the busy cores, the sandbox's and the database's are all the machine has",
    )
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
    "overlap": overlap,
    "poll": poll,
    "pace": pace,
    "callbacks": callbacks,
    "phone": to_phone,
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
