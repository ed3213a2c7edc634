"""Puts tenants, shortcodes, clients and loans into the world, from plain JSON."""

from __future__ import annotations

import time
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.calls import Json
from sandbox.fineract_book import (
    ERAS,
    SERVICE_PERMISSIONS,
    Client,
    Tenant,
    User,
    add_loan,
    loan_value,
)
from sandbox.ledger import Shortcode, Wallet
from sandbox.state import World

DEFAULT_PAYMENT_TYPES: list[Json] = [
    {"id": 24, "name": "PTC", "description": "Cash", "isCashPayment": True, "position": 0},
    {
        "id": 7,
        "name": "MPesa B2C",
        "description": "Safaricom B2C",
        "isCashPayment": False,
        "position": 1,
    },
]
DEFAULT_PRODUCTS: Json = {"5": "Biashara", "9": "Group loan"}
OFFICER = {"name": "officer", "password": "officer-password", "permissions": ["ALL_FUNCTIONS"]}
_PLAIN = {
    "era",
    "office",
    "timezone",
    "iso_dates",
    "maker_checker",
    "maker_checker_resource_id",
    "allow_on_holiday",
    "allow_on_non_working_day",
    "working_days",
    "sync_expected_date",
}
_SHORTCODE_MONEY = {"utility", "working", "charges"}


def put_tenant(world: World, given: Json) -> Tenant:
    """Create or change a tenant; `username`, `password`, `permissions` are the service user's."""
    name = str(given["name"])
    tenant = world.tenants.get(name)
    if tenant is None:
        tenant = world.tenants[name] = Tenant(name)
        _fill(tenant)
        given = {"username": "svc-payout", "password": "payout-password", **given}
    for key, value in given.items():
        _set_tenant(tenant, key, value)
    if "username" in given or "password" in given or "permissions" in given:
        _put_service_user(tenant, given)
    for loan in tenant.loans.values():
        loan.row = b""
    return tenant


def _fill(tenant: Tenant) -> None:
    tenant.payment_types = {row["id"]: dict(row) for row in DEFAULT_PAYMENT_TYPES}
    tenant.products = {int(number): name for number, name in DEFAULT_PRODUCTS.items()}
    put_user(tenant, OFFICER)


def _set_tenant(tenant: Tenant, key: str, value: Any) -> None:
    if key == "era" and value not in ERAS:
        raise ValueError(f"no era {value}: {', '.join(ERAS)}")
    if key in _PLAIN:
        setattr(tenant, key, value)
    elif key == "business_date":
        tenant.business_date = tenant.day(value)
        tenant.business_date_enabled = value is not None
    elif key == "accounting_closed_until":
        tenant.accounting_closed_until = tenant.day(value)
    elif key == "holidays":
        tenant.holidays = [_holiday(tenant, row) for row in value]
    elif key == "products":
        tenant.products = {int(number): name for number, name in value.items()}
    elif key == "payment_types":
        tenant.payment_types = {int(row["id"]): dict(row) for row in value}
    elif key == "users":
        for row in value:
            put_user(tenant, row)
    elif key not in ("name", "username", "password", "permissions", "clients", "loans"):
        raise KeyError(f"a tenant has no {key}")


def _holiday(tenant: Tenant, row: Json) -> Json:
    first, last = tenant.day(row["from"]), tenant.day(row.get("to", row["from"]))
    if not isinstance(first, date) or not isinstance(last, date):
        raise ValueError("a holiday needs a first day")  # noqa: TRY004 - a wrong value, not a type
    return {"name": row.get("name", "Holiday"), "from": first.isoformat(), "to": last.isoformat()}


def put_user(tenant: Tenant, row: Json) -> None:
    name = str(row["name"])
    permissions = frozenset(row.get("permissions", SERVICE_PERMISSIONS))
    tenant.users[name] = User(len(tenant.users) + 1, name, str(row["password"]), permissions)


def _put_service_user(tenant: Tenant, given: Json) -> None:
    kept = next((user for user in tenant.users.values() if user.name != OFFICER["name"]), None)
    name = str(given.get("username", kept.name if kept else "svc-payout"))
    password = str(given.get("password", kept.password if kept else "payout-password"))
    permissions = given.get("permissions", kept.permissions if kept else SERVICE_PERMISSIONS)
    if kept is not None and kept.name != name:
        del tenant.users[kept.name]
    put_user(tenant, {"name": name, "password": password, "permissions": permissions})


def put_clients(tenant: Tenant, rows: list[Json]) -> list[int]:
    """Create or change clients; the raw phone string is unique in Fineract, so it is here."""
    ids = []
    for row in rows:
        number = int(row.get("id") or tenant.new_id())
        client = tenant.clients.setdefault(number, Client(number, f"Client {number}"))
        change_client(tenant, client, {key: row[key] for key in row if key != "id"})
        ids.append(number)
    return ids


def change_client(tenant: Tenant, client: Client, changes: Json) -> None:
    known = {item.name for item in fields(Client)}
    for key, value in changes.items():
        if key not in known:
            raise KeyError(f"a client has no {key}")
        setattr(client, key, tenant.day(value) if key == "transferred_on" else value)
    if "name" in changes:
        for loan in tenant.loans.values():
            loan.row = b""


def put_loans(tenant: Tenant, rows: list[Json]) -> list[int]:
    now = time.time()
    return [add_loan(tenant, row, now).id for row in rows]


def change_loan(tenant: Tenant, loan_id: int, changes: Json, by: str) -> None:
    """Set attributes of a loan; `net` and dates are read as in `put_loans`."""
    loan = tenant.loans[loan_id]
    for key, value in changes.items():
        setattr(loan, key, loan_value(tenant, key, value))
    if "principal" in changes and "approved_principal" not in changes:
        loan.approved_principal = loan.principal
    loan.changed("changed: " + ", ".join(changes), by, time.time())


def put_shortcode(world: World, given: Json) -> Shortcode:
    """Create or change a shortcode."""
    code = str(given["shortcode"])
    found = world.ledger.shortcodes.get(code)
    if found is None:
        key = str(given.get("consumer_key", f"key-{code}"))
        secret = str(given.get("consumer_secret", f"secret-{code}"))
        found = world.ledger.shortcodes[code] = Shortcode(code, key, secret)
    _set_money_aware(found, given, _SHORTCODE_MONEY)
    return found


def put_wallet(world: World, given: Json) -> Wallet:
    """Set what a phone can receive."""
    wallet = world.ledger.wallet(str(given["msisdn"]))
    _set_money_aware(wallet, given, {"balance", "received"})
    return wallet


def _set_money_aware(target: Shortcode | Wallet, given: Json, amounts: set[str]) -> None:
    known = {item.name for item in fields(target)}
    for key, value in given.items():
        if key not in known:
            raise KeyError(f"no attribute {key}")
        setattr(target, key, Decimal(str(value)) if key in amounts else value)


def load_world(world: World, document: Json) -> Json:
    """Load a document: options, tenants with clients and loans, shortcodes, wallets, faults."""
    world.options.update(document.get("options", {}))
    for row in document.get("tenants", []):
        tenant = put_tenant(world, row)
        put_clients(tenant, row.get("clients", []))
        put_loans(tenant, row.get("loans", []))
    for row in document.get("shortcodes", []):
        put_shortcode(world, row)
    for row in document.get("wallets", []):
        put_wallet(world, row)
    for row in document.get("faults", []):
        world.faults.add(row)
    loans = sum(len(tenant.loans) for tenant in world.tenants.values())
    return {
        "tenants": len(world.tenants),
        "loans": loans,
        "shortcodes": len(world.ledger.shortcodes),
    }
