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
    ready = threading.Event()
    found: list[Sandbox] = []
    failed: list[BaseException] = []

    def started(sandbox: Sandbox) -> None:
        found.append(sandbox)
        ready.set()

    def serve() -> None:
        try:
            asyncio.run(
                run(
                    settings,
                    host=host,
                    mifos_port=mifos_port,
                    mpesa_port=mpesa_port,
                    documents=(world,) if world else (),
                    started=started,
                )
            )
        except BaseException as exc:
            failed.append(exc)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="sandbox", daemon=True)
    thread.start()
    ready.wait(START_SECONDS)
    if not found:
        raise RuntimeError("the sandbox did not start") from (failed[0] if failed else None)
    control = SandboxControl(found[0].mifos_url, found[0].mpesa_url, os.getpid())
    try:
        yield control
    finally:
        if found[0].stop is not None:
            found[0].stop()
        thread.join(START_SECONDS)
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
            control.reset(**options)
        if world:
            control.load(world)
        yield control
        control.close()
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
