"""One bench to break things on: a sandbox, a database, a web life, passes, and their clock."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaigns.engines import Engine, engine_for
from campaigns.environment import PASS_SECONDS, prepare
from campaigns.lives import Body, End, Life, Nursery, Setting, listen, one_pass, serve_web
from campaigns.shared import Shared
from campaigns.warming import warm
from campaigns.worlds import partner_rows_for
from sandbox.control import SandboxControl
from sandbox.running import sandbox_process
from sandbox.world import SampleWorld

SANDBOX = {
    "callback_delay": 0.01,
    "callback_timeout": 2.0,
    "hold_callbacks": False,
    "index_delay": 0.0,
}


@dataclass(kw_only=True)
class Rig:
    """Everything one schedule needs; `renew` makes it as new."""

    sandbox: SandboxControl
    engine: Engine
    nursery: Nursery
    shared: Shared
    web: Life | None = None
    is_threaded: bool = False
    passes: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def renew(
        self,
        world: SampleWorld,
        *,
        seed: int,
        threaded: bool = False,
        web: bool = True,
        **options: object,
    ) -> None:
        """Empty both sides and load a world; a web life listens from now on, if wanted."""
        self.end_lives()
        self.shared.clear()
        self.sandbox.reset(seed=seed, **{**SANDBOX, **options})
        self.sandbox.load(world.document)
        self.engine.renew()
        self.nursery.take_errors()
        self.nursery.take_trace()
        self.passes = self.kills = 0
        self.wrong = []
        self.is_threaded = threaded
        if web:
            self.start_web(threaded=threaded)

    def start_web(self, *, threaded: bool = False, settings: Setting | None = None) -> None:
        body = serve_web(self.nursery.web_socket, self.nursery.cross("web"), threaded=threaded)
        self.web = self.nursery.fork("web", body, settings=settings)

    def start_pass(self, *, settings: Setting | None = None) -> Life:
        self.passes += 1
        return self.nursery.fork("pass", one_pass, settings=settings)

    def one_pass(self, *, settings: Setting | None = None) -> End:
        """Run one whole pass, let its callbacks arrive, and let the poll interval go by."""
        end = self.note(self.start_pass(settings=settings))
        self.settle()
        return end

    def settle(self) -> None:
        """Let the callbacks on their way arrive, mend what was killed, move the clock on."""
        self.sandbox.wait_for_callbacks(20)
        self.mend_web()
        self.shared.add("clock", PASS_SECONDS)

    def mend_web(self) -> None:
        """Start the web life again if it was killed, as its supervisor would."""
        if self.web is not None and _has_ended(self.web):
            self.note(self.web)
            self.start_web(threaded=self.is_threaded)

    def note(self, life: Life) -> End:
        """Wait for a life and judge how it ended."""
        end = life.wait()
        self.kills += end.was_killed
        if end == End():
            self.wrong.append(f"a life ({life.kind}) hung\n{self.nursery.take_stacks()}")
        return end

    def act(self, body: Body) -> End:
        """Let a person do something, in a life of its own."""
        return self.note(self.nursery.fork("person", body))

    def end_lives(self) -> None:
        if self.web is not None:
            self.web.kill()
            self.web = None

    @property
    def now(self) -> datetime:
        """Return the time on the lives' clock."""
        return datetime.now(tz=UTC) + timedelta(seconds=self.shared.get("clock"))

    @property
    def secret_hooks(self) -> dict[str, str]:
        rows = self.engine.tables().rows("SELECT slug, webhook_token FROM partners")
        return {str(row["slug"]): str(row["webhook_token"]) for row in rows}

    @property
    def web_url(self) -> str:
        host, port = self.nursery.web_socket.getsockname()
        return f"http://{host}:{port}"


def _has_ended(life: Life) -> bool:
    pid, status = os.waitpid(life.pid, os.WNOHANG)
    if not pid:
        return False
    life.end = (
        End(signal=os.WTERMSIG(status)) if os.WIFSIGNALED(status) else End(os.WEXITSTATUS(status))
    )
    return True


@contextmanager
def running_rig(
    engine_name: str, *, is_warm: bool = False, **partner_columns: object
) -> Iterator[Rig]:
    """Start a rig: the sandbox's process, the database with partners loaded, Django set up.

    With `is_warm` its lives start as ready as a process that has served for a while."""
    folder = Path(tempfile.mkdtemp(prefix="loanpoll-campaign-"))
    web_socket = listen()
    shared = Shared()
    nursery = Nursery(shared=shared, folder=folder, web_socket=web_socket)
    try:
        with _quiet_errors(folder / "sandbox.log"), sandbox_process(seed=1) as control:
            engine = engine_for(engine_name, folder)
            rig = Rig(sandbox=control, engine=engine, nursery=nursery, shared=shared)
            try:
                prepare(
                    database_url=engine.url, public_url=rig.web_url, mpesa_url=control.mpesa_url
                )
                _fill(rig, partner_columns)
                if is_warm:
                    warm(rig)
                yield rig
            finally:
                rig.end_lives()
                engine.close()
    finally:
        web_socket.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet_errors(log: Path) -> Iterator[None]:
    """Let what children say of callers that were killed go to a file, not between our lines."""
    kept, out = os.dup(2), os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(out)


def _fill(rig: Rig, columns: dict[str, object]) -> None:
    rows = partner_rows_for(rig.sandbox, columns)

    def fill() -> None:
        import json

        from django.core.management import call_command

        path = rig.nursery.folder / "partners.json"
        path.write_text(json.dumps(rows))
        call_command("migrate", verbosity=0)
        call_command("load_partners", str(path), stdout=_Nowhere())
        _add_people()

    end = rig.nursery.fork("person", fill).wait()
    if end.code != 0:
        raise RuntimeError("\n".join(rig.nursery.take_errors()) or f"not filled: {end}")
    rig.engine.keep_as_template()


class _Nowhere:
    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...


def _add_people() -> None:
    from django.contrib.auth.models import User

    for name in ("amina", "brian", "carol"):
        User.objects.create(username=name, is_superuser=True, is_staff=True)
