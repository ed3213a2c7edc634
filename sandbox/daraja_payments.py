"""B2C: check, accept, remember the id for ever, plan the fate (contracts/mpesa.md 2, 3)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from sandbox.calls import Answer, Call, Json, answer
from sandbox.credentials import password_in
from sandbox.daraja_errors import bad_request, duplicate, not_authorized
from sandbox.deliveries import Letter
from sandbox.ledger import Payment, Shortcode
from sandbox.scenarios import scenario_for
from sandbox.settlement import payment_facts, settle
from sandbox.state import Plan, World

BeforeAnswer = Callable[[], Awaitable[None]] | None
COMMANDS = frozenset({"BusinessPayment", "SalaryPayment", "PromotionPayment"})
ACCEPTED = "Accept the service request successfully."
_PHONE = re.compile(r"254\d{9}")
_OCID = re.compile(r"[A-Za-z0-9_-]{1,50}")
_WORDS = re.compile(r"m-?pesa|safaricom|exec?\b|cmd|sql|query", re.IGNORECASE)


def pay(world: World, shortcode: Shortcode, call: Call) -> Answer:
    """Answer POST …/b2c/v3/paymentrequest, or v1 where there is no id of the caller's."""
    body, request_id = call.json, world.numbers.request_id()
    _validate(world, shortcode, call, request_id)
    if not shortcode.b2c_enabled:
        raise not_authorized(request_id)
    v3 = call.name == "b2c"
    ocid = str(body["OriginatorConversationID"]) if v3 else world.numbers.minted_originator()
    if v3 and ocid in world.ledger.seen:
        raise duplicate(request_id)  # refused, not replayed: contracts/mpesa.md 3
    payment = _new_payment(world, shortcode, call, ocid)
    world.ledger.seen.add(ocid)
    world.ledger.payments[ocid] = payment
    reply = _acknowledge(payment)
    reply.before = _decide(world, payment, call)
    return reply


def _acknowledge(payment: Payment) -> Answer:
    return answer(
        {
            "ConversationID": payment.conversation_id,
            "OriginatorConversationID": payment.ocid,
            "ResponseCode": "0",
            "ResponseDescription": ACCEPTED,
        }
    )


def pretended_acknowledgement(world: World, call: Call) -> Answer:
    """Return a believable answer to a request that has had no effect."""
    ocid = str(call.facts.get("ocid") or world.numbers.minted_originator())
    reply: Json = {
        "ConversationID": world.numbers.conversation(call.at),
        "OriginatorConversationID": ocid,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED,
    }
    return answer(reply)


def _validate(world: World, shortcode: Shortcode, call: Call, request_id: str) -> None:
    body = call.json
    checks = {
        "OriginatorConversationID": call.name != "b2c"
        or bool(_OCID.fullmatch(_text(body, "OriginatorConversationID"))),
        "InitiatorName": bool(_text(body, "InitiatorName")),
        "SecurityCredential": bool(_text(body, "SecurityCredential")),
        "CommandID": body.get("CommandID") in COMMANDS,
        "Amount": _whole_amount(body.get("Amount")) is not None,
        "PartyA": _text(body, "PartyA") == shortcode.shortcode,
        "PartyB": bool(_PHONE.fullmatch(_text(body, "PartyB"))),
        "Remarks": 2 <= len(_text(body, "Remarks")) <= 100,
        "QueueTimeOutURL": good_url(world, body.get("QueueTimeOutURL")),
        "ResultURL": good_url(world, body.get("ResultURL")),
    }
    for name, right in checks.items():
        if not right:
            raise bad_request(name, request_id)


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    return "" if value is None else str(value)


def _whole_amount(value: object) -> Decimal | None:
    """Return whole shillings above zero; decimals are refused (contracts/mpesa.md 9)."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount > 0 and amount == amount.to_integral_value() else None


def good_url(world: World, value: object) -> bool:
    parts = urlsplit(str(value or ""))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    return not (world.options.refuse_url_words and _WORDS.search(parts.path))


def _new_payment(world: World, shortcode: Shortcode, call: Call, ocid: str) -> Payment:
    body = call.json
    return Payment(
        ocid=ocid,
        conversation_id=world.numbers.conversation(call.at),
        shortcode=shortcode.shortcode,
        amount=Decimal(str(body["Amount"])),
        msisdn=str(body["PartyB"]),
        version="v3" if call.name == "b2c" else "v1",
        at=call.at,
        result_url=str(body["ResultURL"]),
        timeout_url=str(body["QueueTimeOutURL"]),
        password=password_in(str(body["SecurityCredential"])),
        initiator=str(body["InitiatorName"]),
        remarks=str(body["Remarks"]),
    )


def _decide(world: World, payment: Payment, call: Call) -> BeforeAnswer:
    """Plan the payment's fate; return what must be awaited before the answer, if anything."""
    truth, plan = call.truth, _plan(world, payment, call)
    if truth is None and plan is None and world.options.scenarios:
        truth, plan = scenario_for(payment.amount)
    forced = (truth.code or "17") if truth is not None and truth.effect == "refuses" else ""
    if truth is not None and truth.effect in ("never_lands", "lands_late"):
        payment.indexed = False
        if truth.effect == "lands_late":
            world.later(
                truth.seconds, "b2c", payment.ocid, lambda: settle(world, payment, forced, plan)
            )
        return None
    if plan is not None and plan.outcome == "before_answer":
        return _overtake(world, settle(world, payment, forced, plan))
    world.after(world.options.callback_delay, lambda: settle(world, payment, forced, plan))
    return None


def _plan(world: World, payment: Payment, call: Call) -> Plan | None:
    plan = world.callback_plan("callback", payment_facts(payment))
    is_late = call.facts.get("is_late") or (call.truth and call.truth.effect == "lands_late")
    is_over = is_late and plan is not None and plan.outcome == "before_answer"
    return None if is_over else plan  # the answer that the callback would come before


def _overtake(world: World, letters: list[Letter]) -> BeforeAnswer:
    async def deliver() -> None:
        for letter in letters:
            await world.deliveries.deliver(letter)

    return deliver
