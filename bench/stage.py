"""One measurement's stage: a sandbox, a database, and the product's own processes around them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.databases import PROJECT, connect, database
from bench.usage import Usage, usage_of
from sandbox.control import SandboxControl
from sandbox.running import sandbox_process
from sandbox.world import SampleWorld, generate, partner_rows

FIELD_KEY = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
START_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Latencies:
    """Seconds, as the issue sets them."""

    mifos: float = 0.05
    mpesa: float = 0.15
    callback: float = 1.0


@dataclass(kw_only=True)
class Stage:
    """The product beside a sandbox. Its processes are started by name and counted together."""

    control: SandboxControl
    folder: Path
    database_url: str
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    spent: Usage = field(default_factory=lambda: Usage(0.0, 0.0))  # by processes that ended

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` to its end; its cost counts. Returns what it printed."""
        process = self._start("manage.py", *arguments, stdout=subprocess.PIPE)
        out, _ = process.communicate()
        self.processes.remove(process)
        if process.returncode not in {0, 1}:
            raise SystemExit(f"manage.py {' '.join(arguments)}: exit {process.returncode}")
        return out.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `manage.py` and leave it running."""
        return self._start("manage.py", *arguments)

    def start_module(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `python -m …` in the product's environment and leave it running."""
        return self._start("-m", *arguments)

    def start_web(
        self,
        *,
        workers: int = 1,
        threads: int = 16,
        application: str = "loanpoll_site.wsgi",
    ) -> None:
        """Serve the site, and with it the door for callbacks, and wait until it answers."""
        port = self.environment["PUBLIC_BASE_URL"].rpartition(":")[2]
        options = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
        options += ["--worker-class", "gthread", "--threads", str(threads), "--backlog", "2048"]
        options += ["--keep-alive", "15", "--log-level", "warning"]
        self._start("-m", "gunicorn", application, *options)
        _wait_for_port(int(port))

    def row(self, query: str) -> Any:
        """Return the first row of a query."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path)) as db:
                return db.execute(query).fetchone()
        with connect(self.database_url) as postgres:
            return postgres.execute(query).fetchone()

    def used(self) -> Usage:
        """Return what the product's processes have cost, the ended ones too."""
        now = usage_of(process.pid for process in self.processes)
        return Usage(now.cpu_seconds + self.spent.cpu_seconds, now.peak_mib + self.spent.peak_mib)

    def sandbox_cpu_seconds(self) -> float:
        return usage_of([self.control.pid or 0]).cpu_seconds

    def note_spent(self, usage: Usage) -> None:
        self.spent = Usage(
            self.spent.cpu_seconds + usage.cpu_seconds, max(self.spent.peak_mib, usage.peak_mib)
        )

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()

    def _start(self, *arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdout=stdout if stdout is not None else subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
        )
        self.processes.append(process)
        return process


@contextmanager
def stage(
    kind: str,
    world: SampleWorld,
    *,
    latencies: Latencies | None = None,
    partner: dict[str, Any] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Set up a sandbox with `world`, an empty database of `kind`, and the partners in it."""
    sys.stderr.write(f"  {len(world.loans)} loans, {kind} …\n")
    times = latencies or Latencies()
    folder = Path(tempfile.mkdtemp(prefix="loanpoll-bench-"))
    try:
        with (
            sandbox_process(
                world=world.document,
                mifos_latency=times.mifos,
                mpesa_latency=times.mpesa,
                callback_delay=times.callback,
            ) as control,
            database(kind, folder) as url,
        ):
            made = Stage(
                control=control,
                folder=folder,
                database_url=url,
                environment={
                    **_environment(control, url, settings or {}),
                    "BENCH_PAGES": str(folder / "pages"),
                },
            )
            try:
                _set_up(made, world, partner or {})
                yield made
            finally:
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_lender(loans: int, *, tenants: int = 1) -> SampleWorld:
    """Return a world in which every loan can be paid."""
    return generate(tenants=tenants, loans=loans, unpayable_share=0)


def wait_until(done: Any, *, seconds: float, every: float = 0.2) -> float:
    """Wait until `done()` is true; return the seconds it took. Raises TimeoutError."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not done within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - began


def _environment(control: SandboxControl, url: str, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "LOANPOLL_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "loanpoll_site.settings",
        "SECRET_KEY": "only-for-benchmarks-" * 4,
        "FIELD_ENCRYPTION_KEYS": FIELD_KEY,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{_free_port()}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOANPOLL_ALLOW_PRIVATE_HOSTS": "1",
        "MPESA_SANDBOX_URL": control.mpesa_url,
        "DATABASE_URL": url,
        "LOANPOLL_DATABASE_POOL": "32",
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "plain",
        **more,
    }


def _set_up(made: Stage, world: SampleWorld, partner: dict[str, Any]) -> None:
    made.manage("migrate", "--verbosity", "0")
    rows = partner_rows(
        world.document,
        made.control.mifos_url,
        **{"mpesa_payments_per_second": "9999", "mifos_concurrency": 64, **partner},
    )
    path = made.folder / "partners.json"
    path.write_text(json.dumps(rows))
    made.manage("load_partners", str(path))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    def is_open() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_open, seconds=START_SECONDS, every=0.05)
