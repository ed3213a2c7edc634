"""Fineract's Idempotency-Key: replay, also of errors, 425 in flight (contracts/mifos.md 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.calls import Answer, Call
from sandbox.fineract_book import Tenant

HEADER = "Idempotency-Key"
CACHED = {"x-served-from-cache": "true"}


@dataclass(slots=True)
class StoredCommand:
    """One row of the command source. Without a reply it is under processing or awaits a checker."""

    request: bytes
    reply: Answer | None = None


def slot_of(tenant: Tenant, call: Call, action: str, entity: str) -> tuple[str, str, str] | None:
    """Return where this command is stored: the loan id and the body are no part of it.

    Storage works only when the request says it is JSON, and 1.8 ignores the key.
    """
    key = call.headers.get(HEADER)
    json_body = "json" in call.headers.get("Content-Type", "")
    return (action, entity, key) if key and json_body and tenant.has_idempotency else None


def once(
    tenant: Tenant, slot: tuple[str, str, str] | None, call: Call, run: Callable[[], Answer]
) -> Answer:
    """Run a command, or replay what its key already holds."""
    if slot is None:
        return run()
    row: StoredCommand | None = tenant.keys.get(slot)
    if row is not None and not call.facts.get("resuming"):
        return replay(row)
    row = tenant.keys[slot] = StoredCommand(call.body)
    reply = run()
    if b'"rollbackTransaction":true' not in reply.body:  # a checker's turn: no branch matches it
        row.reply = reply
    return reply


def replay(row: StoredCommand) -> Answer:
    if row.reply is None:
        return Answer(status=425, body=row.request, headers=dict(CACHED))
    return Answer(status=row.reply.status, body=row.reply.body, headers=dict(CACHED))


def mark_in_flight(tenant: Tenant, slot: tuple[str, str, str] | None, call: Call) -> None:
    """Keep the key as under processing: the server is still at it, or died in the middle."""
    if slot is not None and slot not in tenant.keys:
        tenant.keys[slot] = StoredCommand(call.body)
