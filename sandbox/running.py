"""Ways to start a sandbox: in a thread of the caller, or as its own process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.control import SandboxControl
from sandbox.options import Options
from sandbox.server import run
from sandbox.state import Sandbox

START_SECONDS = 20


class SandboxThread:
    """A loop with both servers in a thread of this process."""

    def __init__(self, options: Options, **places: Any) -> None:
        self.options = options
        self.places = places
        self.sandbox: Sandbox | None = None
        self.failure: BaseException | None = None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)

    def start(self) -> Sandbox:
        """Return when both ports listen. Raises RuntimeError when they do not."""
        self.thread.start()
        self.ready.wait(START_SECONDS)
        if self.sandbox is None:
            raise RuntimeError("the sandbox did not start") from self.failure
        return self.sandbox

    def stop(self) -> None:
        if self.sandbox is not None and self.sandbox.stop is not None:
            self.sandbox.stop()
        self.thread.join(START_SECONDS)

    def _serve(self) -> None:
        try:
            asyncio.run(run(self.options, started=self._started, **self.places))
        except BaseException as exc:
            self.failure = exc
        finally:
            self.ready.set()

    def _started(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.ready.set()


@contextmanager
def running_sandbox(
    *,
    host: str = "127.0.0.1",
    mifos_port: int = 0,
    mpesa_port: int = 0,
    world: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[SandboxControl]:
    """Run a sandbox in a thread of this process; `options` are the fields of `Options`."""
    settings = Options()
    settings.update(options)
    documents = (world,) if world else ()
    thread = SandboxThread(
        settings, host=host, mifos_port=mifos_port, mpesa_port=mpesa_port, documents=documents
    )
    sandbox = thread.start()
    control = SandboxControl(sandbox.mifos_url, sandbox.mpesa_url, os.getpid())
    try:
        yield control
    finally:
        thread.stop()
        control.close()


@contextmanager
def sandbox_process(
    *,
    mifos_port: int = 0,
    mpesa_port: int = 0,
    world: dict[str, Any] | None = None,
    arguments: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[SandboxControl]:
    """Run a sandbox as its own process, so that it shares no interpreter with the caller."""
    arguments = (*arguments, "--seed", str(options.pop("seed", 1)))
    command = [sys.executable, "-m", "sandbox", *arguments]
    command += ["--mifos-port", str(mifos_port), "--mpesa-port", str(mpesa_port)]
    folder = Path(__file__).resolve().parent.parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise RuntimeError("the sandbox did not start")
        where = json.loads(line)
        control = SandboxControl(where["mifos"], where["mpesa"], where["pid"])
        if options:
            control.options(**options)
        if world:
            control.load(world)
        yield control
        control.close()
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
