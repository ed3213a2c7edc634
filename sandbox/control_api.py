"""The control panel over HTTP, under /_sandbox on either port: set up, break, read out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sandbox.calls import Answer, Call, Json, answer
from sandbox.credentials import certificate, security_credential
from sandbox.faults import Rule
from sandbox.fineract_api import BASE, name_call
from sandbox.fineract_api import serve as serve_fineract
from sandbox.fineract_book import Tenant
from sandbox.fineract_commands import audit_json
from sandbox.loading import (
    change_client,
    change_loan,
    load_world,
    put_clients,
    put_loans,
    put_shortcode,
    put_tenant,
    put_wallet,
)
from sandbox.options import Options
from sandbox.readouts import book, callbacks, ledger, loan_state, payments, request_log
from sandbox.state import Sandbox, World

Query = Mapping[str, str]
Door = Callable[[Sandbox, Json, Query], Any]
PREFIX = "/_sandbox/"


async def serve_control(sandbox: Sandbox, call: Call) -> Answer:
    """Answer one call of the control panel; what is wrong with it comes back as 400."""
    name = f"{call.method} {call.path.removeprefix(PREFIX).strip('/')}"
    if call.path.endswith("/trap"):
        sandbox.world.counts[(call.system, "trap")] += 1
        return answer({"trap": True})
    try:
        body = json.loads(call.body or b"{}")
        if name == "POST outage":
            return await _outage(sandbox, body)
        if name == "POST reset":
            return answer(await _reset(sandbox, body))
        door = DOORS.get(name)
        if door is None:
            return answer({"error": f"no {name}", "doors": sorted(DOORS)}, 404)
        return answer(door(sandbox, body, call.query))
    except (KeyError, ValueError, TypeError, ArithmeticError, LookupError) as exc:
        return answer({"error": f"{type(exc).__name__}: {exc}"}, 400)


async def _outage(sandbox: Sandbox, body: Json) -> Answer:
    if sandbox.set_outage is not None:
        await sandbox.set_outage(str(body["system"]), bool(body["on"]))
    return answer({"system": body["system"], "outage": body["on"]})


async def _reset(sandbox: Sandbox, body: Json) -> Json:
    """Start over with an empty world; what the old one still had to send is dropped."""
    old, options = sandbox.world, Options()
    options.update({**asdict(old.options), **body})
    sandbox.world = World(options)
    sandbox.world.urls = old.urls
    await old.deliveries.close()
    return asdict(options)


def _health(sandbox: Sandbox, body: Json, query: Query) -> Json:
    world = sandbox.world
    return {
        "mifos": sandbox.mifos_url,
        "mpesa": sandbox.mpesa_url,
        "problems": world.problems,
        "timers": world.timers,
        "letters": world.deliveries.counts(),
    }


def _options(sandbox: Sandbox, body: Json, query: Query) -> Json:
    sandbox.world.options.update(body)
    sandbox.world.quirks.on = sandbox.world.options.quirks
    return asdict(sandbox.world.options)


def _tenant(sandbox: Sandbox, name: Any) -> Tenant:
    found = sandbox.world.tenants.get(str(name))
    if found is None:
        raise KeyError(f"no tenant {name}")
    return found


def _put_tenant(sandbox: Sandbox, body: Json, query: Query) -> Json:
    tenant = put_tenant(sandbox.world, body)
    put_clients(tenant, body.get("clients", []))
    put_loans(tenant, body.get("loans", []))
    return {"name": tenant.name, "era": tenant.era, "today": tenant.today()}


def _put_shortcode(sandbox: Sandbox, body: Json, query: Query) -> Json:
    return asdict(put_shortcode(sandbox.world, body))


def _change_loan(sandbox: Sandbox, body: Json, query: Query) -> Json:
    tenant = _tenant(sandbox, body["tenant"])
    change_loan(tenant, int(body["loan_id"]), body["changes"], str(body.get("by", "officer")))
    return loan_state(tenant, int(body["loan_id"]))


def _change_client(sandbox: Sandbox, body: Json, query: Query) -> Json:
    tenant = _tenant(sandbox, body["tenant"])
    client = tenant.clients[int(body["client_id"])]
    change_client(tenant, client, body["changes"])
    return {"id": client.id, "mobile_no": client.mobile_no, "active": client.active}


def _command(sandbox: Sandbox, body: Json, query: Query) -> Json:
    """Run a Fineract command as a person does in the web app: through the genuine endpoint."""
    tenant = _tenant(sandbox, body["tenant"])
    path = f"loans/{int(body['loan_id'])}"
    given = body.get("body")
    if given is None:
        given = _usual_body(tenant, str(body["command"]), int(body["loan_id"]))
    return _as_person(
        sandbox, tenant, path, str(body["command"]), given, body.get("user", "officer")
    )


def _usual_body(tenant: Tenant, command: str, loan_id: int) -> Json:
    today = tenant.today().strftime("%d %B %Y")
    form = {"dateFormat": "dd MMMM yyyy", "locale": "en"}
    if command == "approve":
        return {"approvedOnDate": today, "expectedDisbursementDate": today, **form}
    if command == "disburse":
        kind = next((row["id"] for row in tenant.payment_types.values()), 1)
        return {
            "actualDisbursementDate": today,
            "paymentTypeId": kind,
            "receiptNumber": f"HAND{loan_id}",
            **form,
        }
    return {"note": "by hand"}


def _as_person(
    sandbox: Sandbox, tenant: Tenant, path: str, command: str, body: Json, user: str
) -> Json:
    person = tenant.users[user]
    headers = {
        "Authorization": _basic(person.name, person.password),
        "Fineract-Platform-TenantId": tenant.name,
        "Content-Type": "application/json",
    }
    raw = json.dumps(body).encode()
    call = Call("mifos", "POST", BASE + path, {"command": command}, headers, raw, time.time())
    name_call(sandbox.world, call)
    reply = serve_fineract(sandbox.world, call)
    return {"status": reply.status, "body": json.loads(reply.body or b"{}")}


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _checker(sandbox: Sandbox, body: Json, query: Query) -> Json:
    tenant = _tenant(sandbox, body["tenant"])
    path = f"makercheckers/{int(body['command_id'])}"
    return _as_person(sandbox, tenant, path, str(body["verdict"]), {}, body.get("user", "officer"))


def _commands(sandbox: Sandbox, body: Json, query: Query) -> list[Json]:
    tenant = _tenant(sandbox, query["tenant"])
    return [audit_json(tenant, row) for row in tenant.commands.values()]


def _add_faults(sandbox: Sandbox, body: Any, query: Query) -> list[Json]:
    rows = body if isinstance(body, list) else [body]
    return [_rule_json(sandbox.world.faults.add(row)) for row in rows]


def _rule_json(rule: Rule) -> Json:
    return {name: getattr(rule, name) for name in Rule.__slots__}


def _faults(sandbox: Sandbox, body: Json, query: Query) -> Json:
    faults = sandbox.world.faults
    return {"rules": [_rule_json(rule) for rule in faults.rules.values()], "fired": faults.log}


def _clear_faults(sandbox: Sandbox, body: Json, query: Query) -> Json:
    sandbox.world.faults.clear(body.get("id"))
    return {"rules": len(sandbox.world.faults.rules)}


def _effects(sandbox: Sandbox, body: Json, query: Query) -> list[Json]:
    rows = sandbox.world.effects.values()
    return [{"id": row.id, "call": row.call, "key": row.key, "landed": row.landed} for row in rows]


def _release_effects(sandbox: Sandbox, body: Json, query: Query) -> list[int]:
    wanted = body.get("ids")
    ids = [row.id for row in sandbox.world.effects.values() if not row.landed]
    chosen = ids if wanted is None else [number for number in ids if number in wanted]
    for number in chosen:
        sandbox.world.land(number)
    return chosen


def _release(sandbox: Sandbox, body: Json, query: Query) -> list[int]:
    order = str(body.get("order", "given"))
    return sandbox.world.deliveries.release(_wanted(sandbox.world, body), order)


def _drop(sandbox: Sandbox, body: Json, query: Query) -> list[int]:
    return sandbox.world.deliveries.drop(_wanted(sandbox.world, body))


def _send_again(sandbox: Sandbox, body: Json, query: Query) -> list[int]:
    ids = _wanted(sandbox.world, body) or []
    return sandbox.world.deliveries.send_again(ids, int(body.get("times", 1)))


def _wanted(world: World, body: Json) -> list[int] | None:
    """Return letter ids: those given, or those whose facts match."""
    if "ids" in body:
        return [int(number) for number in body["ids"]]
    match = {name: str(value) for name, value in body.get("match", {}).items()}
    if not match:
        return None
    return [
        letter.id
        for letter in world.deliveries.letters.values()
        if all(
            str({**letter.facts, "kind": letter.kind}.get(name)) == value
            for name, value in match.items()
        )
    ]


def _reverse(sandbox: Sandbox, body: Json, query: Query) -> Json:
    payment = sandbox.world.ledger.reverse(str(body["receipt"]))
    return {"ocid": payment.ocid, "status": payment.status}


def _change_payment(sandbox: Sandbox, body: Json, query: Query) -> Json:
    """Set how a status query sees a payment: its status text, whether it is indexed."""
    payment = sandbox.world.ledger.payments[str(body["ocid"])]
    for name in ("status", "indexed", "receipt"):
        if name in body:
            setattr(payment, name, body[name])
    return {"ocid": payment.ocid, "status": payment.status, "indexed": payment.indexed}


def _kill_tokens(sandbox: Sandbox, body: Json, query: Query) -> Json:
    sandbox.world.tokens.kill(body.get("consumer_key"))
    return {"live": len(sandbox.world.tokens.live)}


def _move_float(sandbox: Sandbox, body: Json, query: Query) -> Json:
    """Move money from Working to Utility, as an organisation operator does in the portal."""
    shortcode = sandbox.world.ledger.shortcodes[str(body["shortcode"])]
    amount = Decimal(str(body["amount"]))
    shortcode.working -= amount
    shortcode.utility += amount
    return {"utility": str(shortcode.utility), "working": str(shortcode.working)}


def _stop(sandbox: Sandbox, body: Json, query: Query) -> Json:
    if sandbox.stop is not None:
        sandbox.stop()
    return {"stopping": True}


DOORS: dict[str, Door] = {
    "GET health": _health,
    "POST stop": _stop,
    "GET options": _options,
    "POST options": _options,
    "POST world": lambda box, body, query: load_world(box.world, body),
    "POST tenants": _put_tenant,
    "POST shortcodes": _put_shortcode,
    "POST wallets": lambda box, body, query: asdict(put_wallet(box.world, body)),
    "POST float": _move_float,
    "POST clients": lambda box, body, query: put_clients(
        _tenant(box, body["tenant"]), body["clients"]
    ),
    "POST loans": lambda box, body, query: put_loans(_tenant(box, body["tenant"]), body["loans"]),
    "POST loan": _change_loan,
    "POST client": _change_client,
    "POST command": _command,
    "POST checker": _checker,
    "GET commands": _commands,
    "GET faults": _faults,
    "POST faults": _add_faults,
    "DELETE faults": _clear_faults,
    "GET effects": _effects,
    "POST effects/release": _release_effects,
    "GET callbacks": lambda box, body, query: callbacks(box.world, query),
    "POST callbacks/release": _release,
    "POST callbacks/drop": _drop,
    "POST callbacks/again": _send_again,
    "POST reverse": _reverse,
    "POST payment": _change_payment,
    "POST tokens/kill": _kill_tokens,
    "GET mpesa/ledger": lambda box, body, query: ledger(box.world, query),
    "GET mpesa/payments": lambda box, body, query: payments(box.world),
    "GET mifos/book": lambda box, body, query: book(box.world, query),
    "GET mifos/loan": lambda box, body, query: loan_state(
        _tenant(box, query["tenant"]), int(query["loan_id"])
    ),
    "GET requests": lambda box, body, query: request_log(box.world, query),
    "GET certificate": lambda box, body, query: {"certificate": certificate()},
    "POST credential": lambda box, body, query: {
        "credential": security_credential(str(body["password"]))
    },
}
