"""Status and balance queries: accepted now, answered by a callback (contracts/mpesa.md 7, 8)."""

from __future__ import annotations

import time

from sandbox.calls import Answer, Call, Json, answer
from sandbox.credentials import password_in
from sandbox.daraja_errors import bad_request
from sandbox.daraja_payments import ACCEPTED, good_url
from sandbox.daraja_results import (
    SUCCESS,
    balance_text,
    local_time,
    query_envelope,
    reference,
    status_parameters,
)
from sandbox.ledger import Payment, Shortcode
from sandbox.mail import post
from sandbox.settlement import initiator_problem
from sandbox.state import Plan, World


def query_status(world: World, shortcode: Shortcode, call: Call) -> Answer:
    """Answer POST /mpesa/transactionstatus/v1/query."""
    body, request_id = call.json, world.numbers.request_id()
    if body.get("TransactionID") == "":  # seen live: contracts/mpesa.md 7
        names = (
            "OriginatorConversationID",
            "ConversationID",
            "ResponseCode",
            "ResponseDescription",
        )
        return answer(dict.fromkeys(names, ""))
    _validate(world, shortcode, body, "TransactionStatusQuery", request_id)
    wanted = [name for name in ("OriginalConversationID", "TransactionID") if body.get(name)]
    if len(wanted) != 1:
        raise bad_request("OriginalConversationID", request_id)
    ids = _new_ids(world, call)
    world.after(
        world.options.result_delay, lambda: _answer_status(world, shortcode, body, ids, call)
    )
    return _acknowledge(ids)


def query_balance(world: World, shortcode: Shortcode, call: Call) -> Answer:
    """Answer POST /mpesa/accountbalance/v1/query."""
    body, request_id = call.json, world.numbers.request_id()
    _validate(world, shortcode, body, "AccountBalance", request_id)
    ids = _new_ids(world, call)
    world.after(world.options.result_delay, lambda: _answer_balance(world, shortcode, body, ids))
    return _acknowledge(ids)


def _validate(
    world: World, shortcode: Shortcode, body: Json, command: str, request_id: str
) -> None:
    checks = {
        "Initiator": bool(body.get("Initiator")),
        "SecurityCredential": bool(body.get("SecurityCredential")),
        "CommandID": body.get("CommandID") == command,
        "PartyA": str(body.get("PartyA")) == shortcode.shortcode,
        "IdentifierType": str(body.get("IdentifierType")) == "4",
        "Remarks": bool(body.get("Remarks")),
        "QueueTimeOutURL": good_url(world, body.get("QueueTimeOutURL")),
        "ResultURL": good_url(world, body.get("ResultURL")),
    }
    for name, right in checks.items():
        if not right:
            raise bad_request(name, request_id)


def _new_ids(world: World, call: Call) -> tuple[str, str]:
    return world.numbers.minted_originator(), world.numbers.conversation(call.at)


def _acknowledge(ids: tuple[str, str]) -> Answer:
    return answer(
        {
            "OriginatorConversationID": ids[0],
            "ConversationID": ids[1],
            "ResponseCode": "0",
            "ResponseDescription": ACCEPTED,
        }
    )


def _problem(world: World, shortcode: Shortcode, body: Json) -> str:
    password = password_in(str(body["SecurityCredential"]))
    return initiator_problem(world, shortcode, str(body["Initiator"]), password)


def _answer_status(
    world: World, shortcode: Shortcode, body: Json, ids: tuple[str, str], call: Call
) -> None:
    now = time.time()
    payment = _find(world, shortcode, body, now)
    code = _problem(world, shortcode, body) or ("0" if payment is not None else "2033")
    sent = query_envelope(code, ids, now, world.quirks)
    if payment is not None and code == "0":
        wallet = world.ledger.wallet(payment.msisdn)
        rows = status_parameters(payment, shortcode, wallet, world.quirks)
        sent["Result"]["ResultParameters"] = {"ResultParameter": world.quirks.shuffle(rows)}
    occasion = {"Key": "Occasion"}
    if body.get("Occasion"):
        occasion["Value"] = str(body["Occasion"])
    sent["Result"]["ReferenceData"] = {"ReferenceItem": occasion}
    facts = {**call.facts, "result": code}
    plan = world.callback_plan("status_callback", facts)
    if plan is not None and plan.outcome == "to_url" and payment is not None:
        plan.params = {"url": payment.result_url, **plan.params}  # C17: to the payment's address
    _post_result(world, "status", body, sent, facts, plan)


def _post_result(
    world: World, kind: str, body: Json, sent: Json, facts: Json, plan: Plan | None
) -> None:
    if plan is not None and plan.outcome == "timeout_only":
        ids = ("OriginatorConversationID", "ConversationID")
        notice = {name: sent["Result"][name] for name in ids}
        post(
            world, f"{kind}_timeout", str(body["QueueTimeOutURL"]), {"Result": notice}, facts, None
        )
        return
    post(world, f"{kind}_result", str(body["ResultURL"]), sent, facts, plan)


def _find(world: World, shortcode: Shortcode, body: Json, now: float) -> Payment | None:
    """Match OriginalConversationID, inside the index's span of time (contracts/mpesa.md 11.1)."""
    if body.get("OriginalConversationID"):
        payment = world.ledger.payments.get(str(body["OriginalConversationID"]))
    else:
        payment = world.ledger.by_receipt.get(str(body["TransactionID"]))
    if payment is None or not payment.indexed or payment.shortcode != shortcode.shortcode:
        return None
    age, options = now - payment.at, world.options
    too_old = options.index_age is not None and age > options.index_age
    return None if age < options.index_delay or too_old else payment


def _answer_balance(world: World, shortcode: Shortcode, body: Json, ids: tuple[str, str]) -> None:
    now = time.time()
    code = _problem(world, shortcode, body) or "0"
    sent = query_envelope(code, ids, now, world.quirks)
    result = sent["Result"]
    # Strings here, numbers elsewhere: contracts/mpesa.md 8.
    result["ResultType"], result["ResultCode"] = "0", str(code)
    if code == "0":
        result["ResultDesc"] = SUCCESS.rstrip(".")
        done = time.strftime("%Y%m%d%H%M%S", local_time(now))
        rows = [
            {"Key": "AccountBalance", "Value": balance_text(shortcode)},
            {"Key": "BOCompletedTime", "Value": done},
        ]
        result["ResultParameters"] = {"ResultParameter": rows}
    result["ReferenceData"] = reference("abresults", world.quirks)
    facts = {"shortcode": shortcode.shortcode, "result": code}
    plan = world.callback_plan("balance_callback", facts)
    _post_result(world, "balance", body, sent, facts, plan)
