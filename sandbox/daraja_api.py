"""Daraja's doors: which path is which call, the token check, and what each request said."""

from __future__ import annotations

import json
from collections.abc import Callable

from sandbox.calls import Answer, Call, Json
from sandbox.daraja_errors import DarajaError, bad_request, no_product, refusal
from sandbox.daraja_payments import pay
from sandbox.daraja_queries import query_balance, query_status
from sandbox.daraja_tokens import app_of, oauth
from sandbox.ledger import Shortcode
from sandbox.state import World

ROUTES = {
    "/oauth/v1/generate": ("GET", "oauth"),
    "/mpesa/b2c/v3/paymentrequest": ("POST", "b2c"),
    "/mpesa/b2c/v1/paymentrequest": ("POST", "b2c_v1"),
    "/mpesa/transactionstatus/v1/query": ("POST", "status"),
    "/mpesa/accountbalance/v1/query": ("POST", "balance"),
}
SERVE: dict[str, Callable[[World, Shortcode, Call], Answer]] = {
    "b2c": pay,
    "b2c_v1": pay,
    "status": query_status,
    "balance": query_balance,
}
_FACTS = {
    "shortcode": "PartyA",
    "msisdn": "PartyB",
    "amount": "Amount",
}


def name_call(world: World, call: Call) -> None:
    """Say which call this is and what rules may match on; keep every payment request as it came."""
    method, name = ROUTES.get(call.path, ("", "unknown"))
    call.name = name if method == call.method else "unknown"
    if call.name in ("unknown", "oauth"):
        return
    try:
        body = call.json
    except (ValueError, UnicodeDecodeError):
        return
    call.facts = {name: str(body[key]) for name, key in _FACTS.items() if key in body}
    ocid = body.get("OriginatorConversationID") or body.get("OriginalConversationID")
    if ocid:
        call.facts["ocid"] = str(ocid)
    if call.name in ("b2c", "b2c_v1"):
        _keep_request(world, call, body)


def _keep_request(world: World, call: Call, body: Json) -> None:
    # Texts stay texts and numbers numbers, so that a resend can be compared exactly (S7).
    fields = {name: value for name, value in body.items() if name != "SecurityCredential"}
    world.ledger.requests.append(
        {
            "seq": len(world.ledger.requests) + 1,
            "at": call.at,
            "version": "v3" if call.name == "b2c" else "v1",
            "ocid": body.get("OriginatorConversationID"),
            "fields": fields,
            "status": None,
            "error": None,
        }
    )
    call.facts["request"] = len(world.ledger.requests)


def serve(world: World, call: Call) -> Answer:
    """Answer one call, as if nothing were wrong. Never raises."""
    try:
        reply = _serve(world, call)
    except DarajaError as refused:
        reply = refused.reply
    _note_answer(world, call, reply)
    return reply


def _note_answer(world: World, call: Call, reply: Answer) -> None:
    number = call.facts.get("request")
    if number is not None:
        row = world.ledger.requests[number - 1]
        row["status"] = reply.status
        row["error"] = None if reply.status == 200 else json.loads(reply.body).get("errorCode")


def _serve(world: World, call: Call) -> Answer:
    if call.name == "unknown":
        raise _no_such_path(world, call)
    if call.name == "oauth":
        return oauth(world.tokens, world.ledger, world.numbers, world.options, call)
    key = app_of(world.tokens, world.numbers, call)
    request_id = world.numbers.request_id()
    if "json" not in call.headers.get("Content-Type", ""):
        raise refusal(404, "404.001.04", "Invalid Authentication Header", request_id)
    try:
        body = call.json
    except (ValueError, UnicodeDecodeError):
        raise refusal(400, "400.002.05", "Invalid Request Payload", request_id) from None
    shortcode = world.ledger.shortcodes.get(str(body.get("PartyA")))
    if shortcode is None or shortcode.consumer_key != key:
        raise bad_request("PartyA", request_id)
    if not shortcode.api_product:
        raise no_product(request_id)
    return SERVE[call.name](world, shortcode, call)


def _no_such_path(world: World, call: Call) -> DarajaError:
    request_id = world.numbers.request_id()
    if call.path in ROUTES:
        return refusal(405, "405.001", "Method Not Allowed", request_id)
    return refusal(404, "404.002.01", "Resource not found", request_id)
