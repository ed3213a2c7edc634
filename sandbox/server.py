"""Two HTTP servers on one loop, and the way of a call through them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox import daraja_api, fineract_api
from sandbox.calls import Answer, Call
from sandbox.control_api import serve_control
from sandbox.fault_answers import cut, respond, serve
from sandbox.loading import load_world
from sandbox.options import Options
from sandbox.state import Sandbox, World

LATENCY = {"mifos": "mifos_latency", "mpesa": "mpesa_latency"}
KEEPALIVE_SECONDS = 75


class Handler:
    """Answers every call that comes in on one of the two ports."""

    def __init__(self, sandbox: Sandbox, system: str) -> None:
        self.sandbox = sandbox
        self.system = system

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        world = self.sandbox.world
        call = self._call(request)
        if world.faults.by_call and self._reset_early(world, call):
            cut(request)
            return web.Response()
        call.body = await request.content.read()
        if call.path.startswith("/_sandbox"):
            return _response(await serve_control(self.sandbox, call))
        latency = getattr(world.options, LATENCY[self.system])
        if latency:
            await asyncio.sleep(latency)
        reply = await self._answer(world, call, request)
        return web.Response() if reply is None else _response(reply)

    def _call(self, request: web.BaseRequest) -> Call:
        return Call(
            system=self.system,
            method=request.method,
            path=request.rel_url.path,
            query=_query(request.rel_url.raw_query_string),
            headers=request.headers,
            body=b"",
            at=time.time(),
        )

    def _name(self, world: World, call: Call) -> None:
        (daraja_api if self.system == "mpesa" else fineract_api).name_call(world, call)

    def _reset_early(self, world: World, call: Call) -> bool:
        """Fire H05: the connection goes before the body is read, so only the path is known."""
        if self.system == "mpesa":
            name, facts = daraja_api.ROUTES.get(call.path, ("", "unknown"))[1], {}
        else:
            self._name(world, call)
            name, facts = call.name, call.facts
        rule = world.faults.choose(self.system, name, facts, call.at, early=True)
        if rule is None:
            return False
        call.name = name
        world.note(call, 0, rule)
        return True

    async def _answer(self, world: World, call: Call, request: web.BaseRequest) -> Answer | None:
        """Play the fault that fires on this call, or answer it. None = the wire was used."""
        self._name(world, call)
        rule = world.faults.choose(self.system, call.name, call.facts, call.at)
        if rule is None and world.faults.by_call:
            rule = world.faults.choose(self.system, "any", call.facts, call.at)
        if rule is not None:
            reply, status = await respond(world, call, rule, request)
            world.note(call, status, rule)
            return reply
        done = serve(world, call)
        world.note(call, done.status, None)
        if done.before is not None:
            await done.before()
        if done.status == 200:
            world.last_success[call.name] = done.body
        return done


def _query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True)) if text else {}


def _response(reply: Answer) -> web.Response:
    return web.Response(
        status=reply.status,
        body=reply.body,
        headers=reply.headers,
        content_type=reply.content_type,
    )


class Port:
    """One system's listener; an outage closes it, so that connections are refused (H02)."""

    def __init__(self, sandbox: Sandbox, system: str, host: str, port: int) -> None:
        self.host, self.port = host, port
        server = web.Server(
            Handler(sandbox, system), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS
        )
        self.runner = web.ServerRunner(server, shutdown_timeout=0.2)
        self.server = server
        self.site: web.TCPSite | None = None

    async def open(self) -> str:
        if self.site is None:
            if self.runner.server is None:
                await self.runner.setup()
            self.site = web.TCPSite(self.runner, self.host, self.port, reuse_address=True)
            await self.site.start()
            self.port = int(self.runner.addresses[0][1])
        return f"http://{self.host}:{self.port}"

    async def shut(self) -> None:
        if self.site is not None:
            await self.site.stop()
            self.site = None
        for connection in list(self.server.connections):
            if connection.transport is not None:
                connection.transport.abort()


async def run(
    options: Options,
    *,
    host: str = "127.0.0.1",
    mifos_port: int = 0,
    mpesa_port: int = 0,
    documents: tuple[dict[str, object], ...] = (),
    started: Callable[[Sandbox], None],
    signals: bool = False,
) -> None:
    """Serve both systems until `sandbox.stop` is called (or a signal comes)."""
    stopping = asyncio.Event()
    sandbox = Sandbox(World(options))
    ports = {
        "mifos": Port(sandbox, "mifos", host, mifos_port),
        "mpesa": Port(sandbox, "mpesa", host, mpesa_port),
    }

    async def set_outage(system: str, on: bool) -> None:
        await (ports[system].shut() if on else ports[system].open())

    loop = asyncio.get_running_loop()
    sandbox.stop = lambda: loop.call_soon_threadsafe(stopping.set)  # type: ignore[assignment]  # the handle is of no use
    sandbox.set_outage = set_outage
    sandbox.mifos_url = await ports["mifos"].open()
    sandbox.mpesa_url = await ports["mpesa"].open()
    sandbox.world.urls = {"mifos": sandbox.mifos_url, "mpesa": sandbox.mpesa_url}
    for document in documents:
        load_world(sandbox.world, document)
    if signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
    started(sandbox)
    await stopping.wait()
    await sandbox.world.deliveries.close()
    for port in ports.values():
        await port.shut()
        await port.runner.cleanup()


def announcement(sandbox: Sandbox, pid: int) -> str:
    """Return the one line that says where the sandbox listens."""
    return json.dumps({"mifos": sandbox.mifos_url, "mpesa": sandbox.mpesa_url, "pid": pid})
