"""What a fired rule does to one call: to its effect first, then to what the caller is told."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import cache

from aiohttp import web

from sandbox import daraja_api, fineract_api
from sandbox.calls import Answer, Call, Truth, answer
from sandbox.daraja_payments import pretended_acknowledgement
from sandbox.fault_bodies import damaged, refused_answer
from sandbox.faults import Rule
from sandbox.fineract_book import Loan
from sandbox.fineract_commands import COMMANDS
from sandbox.state import World

EFFECTFUL = frozenset({"oauth", "b2c", "b2c_v1", "status", "balance", *COMMANDS})
HOLD_SECONDS = 120.0
HUGE_BYTES = 20 * 1024 * 1024
BOMB_BYTES = 64 * 1024 * 1024
# Shapes that look like a success to the caller, so a Daraja that says them has seen the id.
LOOKS_ACCEPTED = frozenset({"normal", "response_code"})


def serve(world: World, call: Call) -> Answer:
    """Answer one call of either system, as if nothing were wrong."""
    if call.system == "mpesa":
        return daraja_api.serve(world, call)
    return fineract_api.serve(world, call)


def do_effect(world: World, call: Call, rule: Rule) -> Answer:
    """Let the effect happen, or not, or later; return what a true answer would have been."""
    truth = rule.effect()
    if call.name not in EFFECTFUL:
        return serve(world, call)
    if truth.effect in ("pays", "refuses"):
        call.truth = truth if truth.effect == "refuses" else None
        return serve(world, call)
    if call.system == "mpesa":
        return _delay_payment(world, call, rule, truth)
    return _delay_command(world, call, truth)


def _delay_payment(world: World, call: Call, rule: Rule, truth: Truth) -> Answer:
    """An id that was seen is refused the second time; one that never arrived is not."""
    seen = rule.shape in LOOKS_ACCEPTED if truth.seen is None else truth.seen
    if seen and call.name in ("b2c", "b2c_v1"):
        call.truth = truth
        return serve(world, call)
    if truth.effect == "lands_late":
        call.facts["app"] = world.tokens.owner(call.headers.get("Authorization", ""), call.at)
        call.facts["is_late"] = True
        ocid = str(call.facts.get("ocid"))
        world.later(truth.seconds, call.name, ocid, lambda: serve(world, call))
    return pretended_acknowledgement(world, call)


def _delay_command(world: World, call: Call, truth: Truth) -> Answer:
    """A command in flight keeps its key (425); one that never arrived keeps nothing."""
    late = truth.effect == "lands_late"
    if truth.seen is True or (late and truth.seen is None):
        fineract_api.keep_in_flight(world, call)
    if late:
        call.facts["resuming"] = True
        key = f"{call.facts.get('tenant')}:{call.facts.get('loan_id')}"
        world.later(truth.seconds, call.name, key, lambda: serve(world, call))
    return _pretended_command(world, call)


def _pretended_command(world: World, call: Call) -> Answer:
    """Return a believable 200 of a command that has had no effect."""
    tenant = world.tenants.get(str(call.facts.get("tenant")))
    loan: Loan | None = tenant.loans.get(int(call.facts.get("loan_id", 0))) if tenant else None
    client = loan.client_id if loan is not None else None
    number = call.facts.get("loan_id")
    changes = {"status": {"id": 300, "code": "loanStatusType.active", "value": "Active"}}
    return answer(
        {
            "officeId": 2,
            "clientId": client,
            "loanId": number,
            "resourceId": number,
            "changes": changes,
        }
    )


async def respond(
    world: World, call: Call, rule: Rule, request: web.BaseRequest
) -> tuple[Answer | None, int]:
    """Play one fired rule. Returns the answer to send, or None when the wire was used here."""
    if rule.shape == "page_shift":
        call.facts["shift"] = int(rule.params.get("rows", 1))
    reply = do_effect(world, call, rule)
    if reply.before is not None:
        await reply.before()
    refused = refused_answer(world, call, rule)
    if refused is not None:
        return refused, refused.status
    if rule.shape == "redirect":
        return _redirect(world, rule), int(rule.params.get("status", 307))
    wire = WIRE.get(rule.shape)
    if wire is not None:
        await wire(request, rule, reply)
        return None, 0
    if rule.shape == "slow_answer":
        await asyncio.sleep(rule.seconds or 1.0)
    return damaged(world, call, rule, reply), reply.status


def _redirect(world: World, rule: Rule) -> Answer:
    elsewhere = world.urls.get("mifos" if rule.system == "mpesa" else "mpesa", "")
    place = str(rule.params.get("location", f"{elsewhere}/_sandbox/trap"))
    return Answer(int(rule.params.get("status", 307)), b"", {"Location": place})


def cut(request: web.BaseRequest) -> None:
    """Reset the connection: the caller sees RST, not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    plug = transport.get_extra_info("socket")
    if plug is not None:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _reset(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    cut(request)


async def _hold(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    """Say nothing until the caller hangs up or the time is over, then reset."""
    await _wait_while_open(request, float(rule.params.get("hold", HOLD_SECONDS)))
    cut(request)


async def _wait_while_open(request: web.BaseRequest, seconds: float) -> bool:
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        if request.transport is None or request.transport.is_closing():
            return False
        await asyncio.sleep(0.02)
    return True


async def _truncate(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    body = reply.body
    _write(request, _head(reply, len(body)) + body[: max(1, len(body) // 2)])
    await asyncio.sleep(0)
    if request.transport is not None:
        request.transport.close()


async def _slow_body(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    _write(request, _head(reply, len(reply.body)))
    await _drip(request, rule, reply.body)


async def _slow_headers(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    _write(request, b"HTTP/1.1 200 OK\r\nX-Slow: ")
    await _drip(request, rule, b"x" * 100_000)


async def _drip(request: web.BaseRequest, rule: Rule, data: bytes) -> None:
    """Send one byte at a time until the time is over, then cut."""
    pause = float(rule.params.get("pause", 1.0))
    end = asyncio.get_running_loop().time() + float(rule.params.get("hold", HOLD_SECONDS))
    for place in range(len(data)):
        _write(request, data[place : place + 1])
        if asyncio.get_running_loop().time() >= end or not await _wait_while_open(request, pause):
            break
    cut(request)


async def _huge(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    size = int(rule.params.get("bytes", HUGE_BYTES))
    chunk = b"x" * 65_536
    _write(request, _head(reply, size + 16) + b'{"padding": "')
    for _ in range(size // len(chunk)):
        if not await _room(request):
            return
        _write(request, chunk)
    cut(request)


async def _room(request: web.BaseRequest) -> bool:
    """Wait until the caller has read what was sent; false when it hung up."""
    while request.transport is not None and not request.transport.is_closing():
        if request.transport.get_write_buffer_size() < 262_144:
            return True
        await asyncio.sleep(0.005)
    return False


async def _bomb(request: web.BaseRequest, rule: Rule, reply: Answer) -> None:
    body = _bomb_body()
    head = _head(reply, len(body)).replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    _write(request, head + body)
    await _room(request)
    if request.transport is not None:
        request.transport.close()


@cache
def _bomb_body() -> bytes:
    return gzip.compress(b'{"padding":"' + b"0" * BOMB_BYTES + b'"}', 6)


def _head(reply: Answer, length: int) -> bytes:
    return (
        f"HTTP/1.1 {reply.status} OK\r\nContent-Type: {reply.content_type}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


def _write(request: web.BaseRequest, data: bytes) -> None:
    transport = request.transport
    if isinstance(transport, asyncio.Transport) and not transport.is_closing():
        transport.write(data)


WIRE: dict[str, Callable[[web.BaseRequest, Rule, Answer], Awaitable[None]]] = {
    "reset": _reset,
    "reset_early": _reset,
    "timeout": _hold,
    "truncated": _truncate,
    "slow_body": _slow_body,
    "slow_headers": _slow_headers,
    "huge": _huge,
    "gzip_bomb": _bomb,
}
