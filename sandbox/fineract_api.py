"""Fineract's doors: which path is which call, the tenant and the user behind it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from sandbox import fineract_reference as reference
from sandbox.calls import Answer, Call, answer
from sandbox.fineract_book import Tenant, User
from sandbox.fineract_commands import (
    COMMANDS,
    decide_command,
    delete_command,
    loan_command,
)
from sandbox.fineract_errors import (
    FineractError,
    container_page,
    error_row,
    invalid,
    no_authority,
    unauthenticated,
    unknown_tenant,
)
from sandbox.fineract_hooks import fire_hooks
from sandbox.fineract_loans import (
    Visit,
    batch_answer,
    batch_bodies,
    list_loans,
    read_loan,
    read_loan_by_external_id,
    read_transaction,
    read_transaction_by_external_id,
)
from sandbox.idempotency import mark_in_flight, slot_of
from sandbox.state import World

BASE = "/fineract-provider/api/v1/"
HEALTH = "/fineract-provider/actuator/health"

# (method, path with * for one part) -> (call name, permission, function)
Handler = Callable[..., Answer]
ROUTES: list[tuple[str, tuple[str, ...], str, str, Handler]] = [
    ("GET", ("loans",), "loans_list", "READ_LOAN", list_loans),
    ("GET", ("loans", "*"), "loan", "READ_LOAN", read_loan),
    ("POST", ("loans", "*"), "command", "", loan_command),
    ("GET", ("loans", "external-id", "*"), "loan", "READ_LOAN", read_loan_by_external_id),
    ("GET", ("loans", "*", "transactions", "*"), "transaction", "READ_LOAN", read_transaction),
    (
        "GET",
        ("loans", "*", "transactions", "external-id", "*"),
        "transaction",
        "READ_LOAN",
        read_transaction_by_external_id,
    ),
    ("GET", ("clients",), "clients_list", "READ_CLIENT", reference.list_clients),
    ("GET", ("clients", "*"), "client", "READ_CLIENT", reference.read_client),
    ("PUT", ("clients", "*"), "client_update", "", reference.update_client),
    ("GET", ("paymenttypes",), "paymenttypes", "READ_PAYMENTTYPE", reference.payment_types),
    ("POST", ("paymenttypes",), "paymenttype_create", "", reference.create_payment_type),
    ("GET", ("businessdate", "BUSINESS_DATE"), "businessdate", "", reference.business_date),
    ("GET", ("holidays",), "holidays", "", reference.holidays),
    ("GET", ("workingdays",), "workingdays", "", reference.working_days),
    ("GET", ("configurations",), "configurations", "", reference.configurations),
    ("GET", ("loanproducts",), "loanproducts", "", reference.products),
    ("GET", ("loanproducts", "*"), "loanproducts", "", reference.read_product),
    ("GET", ("makercheckers",), "makercheckers", "", reference.list_commands),
    ("POST", ("makercheckers", "*"), "checker", "", decide_command),
    ("DELETE", ("makercheckers", "*"), "checker", "", delete_command),
    ("GET", ("audits", "*"), "audit", "", reference.read_audit),
    ("POST", ("hooks",), "hook_create", "", reference.create_hook),
    ("GET", ("hooks",), "hooks", "", reference.list_hooks),
    ("DELETE", ("hooks", "*"), "hook_delete", "", reference.delete_hook),
]
_BY_SHAPE = {(method, len(path), path[0]): [] for method, path, *_ in ROUTES}  # type: ignore[var-annotated]  # filled below
for _route in ROUTES:
    _BY_SHAPE[(_route[0], len(_route[1]), _route[1][0])].append(_route)


def find_route(call: Call) -> tuple[str, str, Handler, list[str]] | None:
    """Return name, permission, function and path parts; a literal part wins over a star."""
    parts = call.path[len(BASE) :].strip("/").split("/")
    best: tuple[str, str, Handler, list[str]] | None = None
    for _, path, name, task, handler in _BY_SHAPE.get((call.method, len(parts), parts[0]), ()):
        if all(want in ("*", part) for want, part in zip(path, parts, strict=True)):
            stars = [part for want, part in zip(path, parts, strict=True) if want == "*"]
            if best is None or len(stars) < len(best[3]):
                best = name, task, handler, stars
    return best


def name_call(world: World, call: Call) -> None:
    """Say which call this is, and what fault rules may match on."""
    call.facts["tenant"] = tenant_name(call)
    if call.path == HEALTH:
        call.name = "health"
        return
    if not call.path.startswith(BASE):
        return
    parts = call.path[len(BASE) :].strip("/").split("/")
    if parts[0] in ("batches", "authentication"):
        call.name = parts[0]
        return
    route = find_route(call)
    if route is None:
        return
    call.name = call.query.get("command", "command") if route[0] == "command" else route[0]
    if parts[0] == "loans" and len(parts) > 1 and parts[1].isdigit():
        call.facts["loan_id"] = int(parts[1])
    if route[0] == "client":
        call.facts["client_id"] = int(parts[1]) if parts[1].isdigit() else parts[1]


def tenant_name(call: Call) -> str:
    """The header wins over the parameter (contracts/mifos.md 1)."""
    header = call.headers.get("Fineract-Platform-TenantId", "")
    return header or call.query.get("tenantIdentifier", "")


def serve(world: World, call: Call) -> Answer:
    """Answer one call, as if nothing were wrong. Never raises FineractError."""
    if call.name == "health":
        return answer({"status": "UP", "groups": ["liveness", "readiness"]})
    try:
        return _serve(world, call)
    except FineractError as refused:
        return refused.reply
    except ValueError as exc:
        row = error_row("error.msg.invalid.request.body", str(exc), "body")
        return invalid([row]).reply


def _serve(world: World, call: Call) -> Answer:
    tenant = world.tenants.get(tenant_name(call))
    if tenant is None:
        raise unknown_tenant()
    if call.name == "authentication":
        return reference.authenticate(tenant, call.json, call.path)
    user = user_of(tenant, call)
    if call.name == "batches":
        return _serve_batch(world, tenant, user, call)
    return _visit(world, Visit(tenant, user, call, world.options.page_order))


def _visit(world: World, visit: Visit) -> Answer:
    route = find_route(visit.call)
    if route is None:
        raise container_page(404, "Not Found")
    name, task, handler, stars = route
    if task and not visit.user.may(task):
        raise no_authority(task)
    try:
        reply: Answer = handler(visit, *stars)
    except FineractError as refused:
        reply = refused.reply
    command = visit.call.query.get("command", "")
    if name == "command" and command in COMMANDS and visit.tenant.hooks:
        fire_hooks(world, visit.tenant, visit.call, command, reply, visit.user.name)
    return reply


def _serve_batch(world: World, tenant: Tenant, user: User, call: Call) -> Answer:
    """Only GET of loans and charges; GET of clients is not batchable (contracts/mifos.md 2.5)."""
    replies = []
    for item in batch_bodies(call.body):
        path, _, query = str(item["relativeUrl"]).partition("?")
        pairs = dict(part.partition("=")[::2] for part in query.split("&") if part)
        path = path.removeprefix("v1/").strip("/")
        inner = Call("mifos", str(item["method"]), BASE + path, pairs, call.headers, b"", call.at)
        batchable = inner.method == "GET" and path.startswith("loans/")
        visit = Visit(tenant, user, inner)
        reply = _visit(world, visit) if batchable else container_page(501, "Not Implemented").reply
        replies.append((item["requestId"], reply))
    return batch_answer(replies)


def user_of(tenant: Tenant, call: Call) -> User:
    kind, _, encoded = call.headers.get("Authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise unauthenticated(call.path) from None
    user = tenant.users.get(name)
    if kind.lower() != "basic" or user is None or user.password != password:
        raise unauthenticated(call.path)
    return user


def keep_in_flight(world: World, call: Call) -> None:
    """Remember the key of a command whose effect is still to come, or never will."""
    tenant = world.tenants.get(tenant_name(call))
    if tenant is not None and call.query.get("command") in COMMANDS:
        action = COMMANDS[call.query["command"]][1]
        mark_in_flight(tenant, slot_of(tenant, call, action, "LOAN"), call)
