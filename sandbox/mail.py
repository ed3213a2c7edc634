"""Callbacks go through here, and here they are lost, late, doubled, out of order or wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

from sandbox.calls import Json, dump
from sandbox.deliveries import Letter
from sandbox.state import Plan, World

HUGE = 10 * 1024 * 1024


def post(
    world: World,
    kind: str,
    url: str,
    body: Json,
    facts: Json,
    plan: Plan | None,
    delay: float = 0.0,
) -> list[Letter]:
    """Send one callback as its plan says; without a plan it goes out after `delay`."""
    if plan is None:
        letter = world.deliveries.add(kind, url, dump(body), facts)
        world.deliveries.send_later(letter, delay)
        return [letter]
    url = str(plan.params.get("url", url))
    letter = world.deliveries.add(kind, url, changed_body(body, plan), facts)
    if plan.outcome == "lost":
        world.deliveries.lose(letter)
    elif plan.outcome == "late":
        _late(world, letter, plan.seconds)
    else:
        copies = int(plan.params.get("copies", 2)) if plan.outcome == "doubled" else 1
        for _ in range(copies):
            world.deliveries.send_later(letter, delay)
    return [letter]


def _late(world: World, letter: Letter, seconds: float | None) -> None:
    if seconds is None:
        world.deliveries.hold(letter)
    else:
        world.deliveries.send_later(letter, seconds)


def changed_body(body: Json, plan: Plan) -> bytes:
    """Return the body with the plan's damage done to it (reliability.md 2.3, C09 to C13)."""
    change = CHANGES.get(plan.outcome)
    if change is not None:
        body = json.loads(dump(body))
        result = body.get("Result")
        change(result if isinstance(result, dict) else body, plan.params)
        return dump(body)
    sent = dump(body)
    if plan.outcome == "truncated":
        return sent[: len(sent) // 2]
    if plan.outcome == "malformed":
        return sent.replace(b":", b"=", 1) + b"}"
    if plan.outcome == "not_json":
        return b"<html><body>gateway</body></html>"
    if plan.outcome == "wrong_type":
        return b'["Result"]'
    if plan.outcome == "huge":
        return sent[:-1] + b',"padding":"' + b"x" * HUGE + b'"}'
    return sent


def _rows(result: Json) -> list[Json]:
    rows = result.get("ResultParameters", {}).get("ResultParameter", [])
    return rows if isinstance(rows, list) else [rows]


def _set(key: str, make: Callable[[Json, Json], object]) -> Callable[[Json, Json], None]:
    def change(result: Json, params: Json) -> None:
        for row in _rows(result):
            if row.get("Key") == key:
                row["Value"] = params.get("value", make(row, params))

    return change


def _drop_receipt(result: Json, params: Json) -> None:
    kept = [
        row for row in _rows(result) if row.get("Key") not in ("TransactionReceipt", "ReceiptNo")
    ]
    if "ResultParameters" in result:
        result["ResultParameters"]["ResultParameter"] = kept


def _drop_parameters(result: Json, params: Json) -> None:
    result.pop("ResultParameters", None)


def _other_id(result: Json, params: Json) -> None:
    result["OriginatorConversationID"] = params.get("ocid", "600997_not_one_of_ours")
    result["ConversationID"] = params.get("conversation_id", "AG_20240101_2010ffffffffffffffff")


def _code(result: Json, params: Json) -> None:
    result["ResultCode"] = params.get("value", "00")


def _repeat_keys(result: Json, params: Json) -> None:
    rows = _rows(result)
    if rows:
        result["ResultParameters"]["ResultParameter"] = rows + [
            {"Key": row["Key"]} for row in rows[:2]
        ]


def _reference(many: bool) -> Callable[[Json, Json], None]:
    def change(result: Json, params: Json) -> None:
        item = {"Key": "QueueTimeoutURL"}  # Value absent on purpose
        result["ReferenceData"] = {"ReferenceItem": [item] if many else item}

    return change


CHANGES: dict[str, Callable[[Json, Json], None]] = {
    "wrong_amount": _set("TransactionAmount", lambda row, _: row["Value"] + 1),
    "wrong_phone": _set("ReceiverPartyPublicName", lambda *_: "254700000001 - JOHN DOE"),
    "no_receipt": _drop_receipt,
    "no_parameters": _drop_parameters,
    "other_id": _other_id,
    "result_code": _code,
    "repeated_keys": _repeat_keys,
    "reference_array": _reference(many=True),
    "reference_object": _reference(many=False),
}
