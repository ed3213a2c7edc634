"""Answers with the right shape for a fault: each system's own bodies for each status."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.calls import Answer, Call, Json, answer, dump
from sandbox.daraja_errors import TOKEN_SPELLINGS, duplicate, no_product, refusal
from sandbox.faults import Rule
from sandbox.fineract_errors import (
    FineractError,
    conflict,
    container_page,
    domain,
    error_row,
    invalid,
    locked_by_cob,
    no_authority,
    not_found,
    server_error,
    unauthenticated,
)
from sandbox.state import World

REASONS = {
    408: "Request Timeout",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
SPIKE = {
    "fault": {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, "
        "periodInMicroseconds=60000000, maxBurstMessageCount=1.0}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
}
DARAJA: dict[str, tuple[int, str, str]] = {
    **TOKEN_SPELLINGS,
    "400": (400, "400.002.02", "Bad Request - Invalid InitiatorName"),
    "401": TOKEN_SPELLINGS["token_401"],
    "403": (403, "403.002.1001", "You are not authorized to initiate this transaction"),
    "404": (404, "404.002.01", "Resource not found"),
    "405": (405, "405.001", "Method Not Allowed"),
    "409": (409, "409.001", "Conflict"),
    "500": (500, "500.001.1001", "Internal Server Error"),
    "spike_arrest": (500, "500.003.02", "Error Occurred: Spike Arrest Violation"),
    "quota": (500, "500.003.03", "Quota Violation"),
    "not_duplicate": (500, "500.002.1001", "System internal error."),
    "maintenance": (500, "500.002.1001", "The system is under maintenance."),
}


def gateway_page(status: int) -> Answer:
    title = f"{status} {REASONS.get(status, '')}"
    page = f"<html><head><title>{title}</title></head><body>gateway</body></html>"
    return Answer(status=status, body=page.encode(), content_type="text/html")


def refused_answer(world: World, call: Call, rule: Rule) -> Answer | None:
    """Return the answer of a fault that is a plain refusal or error, or None for another kind."""
    shape, params = rule.shape, rule.params
    if shape == "custom":
        return _custom(params)
    if shape == "html":
        status = int(params.get("status", 200))
        return Answer(status=status, body=b"<html>captive portal</html>", content_type="text/html")
    if shape in ("408", "502", "503", "504"):
        return gateway_page(int(shape))
    maker = _daraja if call.system == "mpesa" else _fineract
    return maker(world, call, rule)


def _custom(params: Json) -> Answer:
    body = params.get("body", "")
    sent = body.encode() if isinstance(body, str) else dump(body)
    kind = str(params.get("content_type", "application/json"))
    headers = dict(params.get("headers", {}))
    return Answer(int(params.get("status", 200)), sent, headers, kind)


def _daraja(world: World, call: Call, rule: Rule) -> Answer | None:
    shape, request_id = rule.shape, world.numbers.request_id()
    if shape == "duplicate":
        return duplicate(request_id).reply
    if shape == "no_product":
        return no_product(request_id).reply
    if shape == "429":
        return answer(SPIKE, 429)
    if shape not in DARAJA:
        return None
    status, code, message = DARAJA[shape]
    code, message = rule.params.get("error_code", code), rule.params.get("message", message)
    return refusal(status, code, message, request_id).reply


def _fineract(world: World, call: Call, rule: Rule) -> Answer | None:
    make = FINERACT.get(rule.shape)
    if rule.shape == "425":  # the original request, given back: contracts/mifos.md 6
        return Answer(425, call.body, {"x-served-from-cache": "true"})
    return make(call, rule).reply if make is not None else None


def _code(rule: Rule, default: str) -> str:
    return str(rule.params.get("error_code", rule.code or default))


def _forbidden(call: Call, rule: Rule) -> FineractError:
    if rule.code or "error_code" in rule.params:
        return domain(_code(rule, ""), "Refused by the sandbox.")
    return no_authority("DISBURSE_LOAN")


FINERACT: dict[str, Callable[[Call, Rule], FineractError]] = {
    "400": lambda call, rule: invalid(
        [error_row(_code(rule, "validation.msg.loan.disbursement.sandbox"), "Refused.")]
    ),
    "401": lambda call, rule: unauthenticated(call.path),
    "403": _forbidden,
    "404": lambda call, rule: not_found(
        _code(rule, "error.msg.loan.id.invalid"), "Loan does not exist", call.facts.get("loan_id")
    ),
    "405": lambda call, rule: container_page(405, "Method Not Allowed"),
    "409": lambda call, rule: conflict(),
    "locked": lambda call, rule: locked_by_cob(int(call.facts.get("loan_id", 0))),
    "429": lambda call, rule: container_page(429, "Too Many Requests", **{"Retry-After": "1"}),
    "500": lambda call, rule: server_error(str(rule.params.get("message", "null"))),
}


def damaged(world: World, call: Call, rule: Rule, reply: Answer) -> Answer:
    """Return the true answer with the rule's damage done to its body."""
    shape = rule.shape
    if shape == "success_of_another":
        return Answer(200, world.last_success.get(call.name) or _other_ids(reply.body, call))
    changed = DAMAGE[shape](reply.body, call, rule) if shape in DAMAGE else reply.body
    return Answer(reply.status, changed, reply.headers, reply.content_type)


def _load(body: bytes) -> Json:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"value": found}


def _other_ids(body: bytes, call: Call) -> bytes:
    found = _load(body)
    if call.system == "mpesa":
        found["OriginatorConversationID"] = "600997_somebody_else"
        found["ConversationID"] = "AG_20240101_2010ffffffffffffffff"
    for name in ("id", "loanId", "resourceId"):
        if isinstance(found.get(name), int):
            found[name] += 1
    return dump(found)


def _without_ids(body: bytes, call: Call) -> bytes:
    found = _load(body)
    for name in ("ConversationID", "changes", "loanId", "id", "pageItems", "access_token"):
        found.pop(name, None)
    return dump(found)


def _twice(body: bytes, call: Call) -> bytes:
    """Repeat keys with other values: the later ones win in most parsers, the first in some."""
    found = _load(body)
    extra: Json = {"ResponseCode": "1"} if call.system == "mpesa" else {"loanId": 1, "id": 1}
    tail = dump(extra)[1:]
    return dump(found)[:-1] + b"," + tail


def _not_a_number(body: bytes, call: Call) -> bytes:
    found: dict[str, Any] = _load(body)
    for name in ("ResponseCode", "netDisbursalAmount", "principal", "loanId", "id", "expires_in"):
        if name in found:
            found[name] = float("nan")
    return json.dumps(found).encode() if found else b"NaN"


def _with_code(body: bytes, rule: Rule) -> bytes:
    code = str(rule.params.get("response_code", rule.code or "26"))
    text = "System busy. Traffic blocking condition in place."
    return dump({**_load(body), "ResponseCode": code, "ResponseDescription": text})


DAMAGE: dict[str, Callable[[bytes, Call, Rule], bytes]] = {
    "malformed": lambda body, call, rule: body[:-1] + b",}",
    "nan": lambda body, call, rule: _not_a_number(body, call),
    "duplicate_keys": lambda body, call, rule: _twice(body, call),
    "deep_nesting": lambda body, call, rule: b"[" * 200_000 + b"]" * 200_000,
    "no_id": lambda body, call, rule: _without_ids(body, call),
    "other_id": lambda body, call, rule: _other_ids(body, call),
    "wrong_shape": lambda body, call, rule: b"[]",
    "empty_body": lambda body, call, rule: b"",
    "response_code": lambda body, call, rule: _with_code(body, rule),
}
