"""Fineract's web hooks: a wake-up, no signature, no second try (contracts/mifos.md 8)."""

from __future__ import annotations

import json
import time
from urllib.parse import urljoin

from sandbox.calls import Answer, Call, Json, dump
from sandbox.fineract_book import Tenant
from sandbox.fineract_commands import COMMANDS
from sandbox.mail import changed_body
from sandbox.state import World, plan_of


def fire_hooks(
    world: World, tenant: Tenant, call: Call, command: str, reply: Answer, by: str
) -> None:
    """Tell every hook about a command, also one that failed or that awaits a checker."""
    action = COMMANDS[command][1]
    for hook in tenant.hooks.values():
        if hook.get("isActive", True) and _listens(hook, action):
            _send(world, tenant, hook, action, _body(call, action, reply, by))


def _listens(hook: Json, action: str) -> bool:
    return any(
        event.get("actionName") == action and event.get("entityName") == "LOAN"
        for event in hook.get("events", [])
    )


def _body(call: Call, action: str, reply: Answer, by: str) -> Json:
    answered = json.loads(reply.body) if reply.content_type == "application/json" else {}
    body: Json = {
        "entityName": "LOAN",
        "actionName": action,
        "createdBy": 1,
        "createdByName": by,
        "createdByFullName": "Mary Njeri",
        "request": json.loads(call.body or b"{}"),
    }
    if reply.status != 200 or "changes" not in answered:
        body["status"] = "Exception"
        text = answered.get("developerMessage", "Command awaits approval by a checker.")
        body["response"] = {
            "developerMessage": text,
            "httpStatusCode": str(reply.status),
            "errorCode": 9999,
            "statusCode": reply.status,
        }
    else:
        body["officeId"], body["clientId"] = answered.get("officeId"), answered.get("clientId")
        body["response"] = answered
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(call.at))
    body["timestamp"] = f"{stamp}.{int(call.at * 1000) % 1000:03d}Z"
    return body


def _send(world: World, tenant: Tenant, hook: Json, action: str, body: Json) -> None:
    # Retrofit posts to "." relative to the URL: without a last slash the last part is cut off.
    url = urljoin(hook["config"]["Payload URL"], ".")
    headers = {
        "X-Fineract-Entity": "LOAN",
        "X-Fineract-Action": action,
        "Fineract-Platform-TenantId": tenant.name,
        "X-Fineract-Endpoint": "http://mifos.sandbox/",
    }
    facts = {"tenant": tenant.name, "loan_id": body.get("response", {}).get("loanId")}
    rule = world.faults.choose("mifos", "hook", facts, time.time())
    plan = None if rule is None else plan_of(rule)
    sent = dump(body) if plan is None else changed_body(body, plan)
    letter = world.deliveries.add("hook", url, sent, facts, headers)
    if plan is not None and plan.outcome == "lost":
        world.deliveries.lose(letter)
        return
    late = plan is not None and plan.outcome == "late"
    delay = (plan.seconds or 0.0) if plan is not None and late else world.options.hook_delay
    for _ in range(2 if plan is not None and plan.outcome == "doubled" else 1):
        world.deliveries.send_later(letter, delay)
