"""The small readings: clients, payment types, dates, holidays, settings, log-in, hooks."""

from __future__ import annotations

import base64
from datetime import date

from sandbox.calls import Answer, Json, answer
from sandbox.fineract_book import Client, Tenant
from sandbox.fineract_commands import audit_json
from sandbox.fineract_errors import error_row, invalid, no_authority, not_found, unauthenticated
from sandbox.fineract_loans import Visit
from sandbox.fineract_shapes import client_json, date_json


def find_client(tenant: Tenant, client_id: str) -> Client:
    client = tenant.clients.get(int(client_id)) if client_id.isdigit() else None
    if client is None or client.deleted:
        text = f"Client with identifier {client_id} does not exist"
        raise not_found("error.msg.client.id.invalid", text, client_id)
    return client


def read_client(visit: Visit, client_id: str) -> Answer:
    client = find_client(visit.tenant, client_id)
    visit.call.saw = {"mobileNo": client.mobile_no, "active": client.active}
    shown = client_json(client)
    if "fields" in visit.call.query:
        wanted = {name.strip() for name in visit.call.query["fields"].split(",")}
        shown = {name: value for name, value in shown.items() if name in wanted}
    return answer(shown)


def list_clients(visit: Visit) -> Answer:
    query = visit.call.query
    rows = [client for client in visit.tenant.clients.values() if not client.deleted]
    if "externalId" in query:
        rows = [client for client in rows if client.external_id == query["externalId"]]
    if "displayName" in query:
        wanted = query["displayName"].lower()
        rows = [client for client in rows if wanted in client.name.lower()]
    start, limit = int(query.get("offset") or 0), int(query.get("limit") or 0)
    page = rows[start : start + limit] if limit > 0 else rows
    return answer(
        {"totalFilteredRecords": len(rows), "pageItems": [client_json(client) for client in page]}
    )


def update_client(visit: Visit, client_id: str) -> Answer:
    """PUT /clients/{id}: the raw string is unique, so two spellings of a number may coexist."""
    if not visit.user.may("UPDATE_CLIENT"):
        raise no_authority("UPDATE_CLIENT")
    client = find_client(visit.tenant, client_id)
    number = visit.call.json.get("mobileNo")
    taken = any(
        other.mobile_no == number and other.id != client.id
        for other in visit.tenant.clients.values()
        if number
    )
    if taken:
        code = "error.msg.client.duplicate.mobileNo"
        raise invalid(
            [error_row(code, f"Client with mobileNo `{number}` already exists", "mobileNo")]
        )
    client.mobile_no = number or None
    return answer(
        {"officeId": 2, "clientId": client.id, "resourceId": client.id, "changes": visit.call.json}
    )


def payment_types(visit: Visit) -> Answer:
    return answer(list(visit.tenant.payment_types.values()))


def create_payment_type(visit: Visit) -> Answer:
    if not visit.user.may("CREATE_PAYMENTTYPE"):
        raise no_authority("CREATE_PAYMENTTYPE")
    number = max(visit.tenant.payment_types, default=0) + 1
    visit.tenant.payment_types[number] = {"isCashPayment": False, **visit.call.json, "id": number}
    return answer({"resourceId": number})


def business_date(visit: Visit) -> Answer:
    """Exists only where the business date is enabled (contracts/mifos.md 9)."""
    if not visit.tenant.business_date_enabled:
        text = "Business date with type BUSINESS_DATE does not exist"
        raise not_found("error.msg.businessdate.not.found", text, "BUSINESS_DATE")
    return answer(
        {
            "description": "Business Date",
            "type": "BUSINESS_DATE",
            "date": date_json(visit.tenant, visit.tenant.today()),
        }
    )


def holidays(visit: Visit) -> Answer:
    return answer(
        [
            _holiday_json(visit.tenant, row, number)
            for number, row in enumerate(visit.tenant.holidays, 1)
        ]
    )


def _holiday_json(tenant: Tenant, row: Json, number: int) -> Json:
    return {
        "id": number,
        "name": row.get("name", "Holiday"),
        "officeId": 2,
        "fromDate": date_json(tenant, date.fromisoformat(row["from"])),
        "toDate": date_json(tenant, date.fromisoformat(row["to"])),
        "status": {"id": 300, "code": "holidayStatusType.active", "value": "Active"},
    }


def working_days(visit: Visit) -> Answer:
    return answer(
        {
            "id": 1,
            "recurrence": f"FREQ=WEEKLY;INTERVAL=1;BYDAY={visit.tenant.working_days}",
            "repaymentRescheduleType": {
                "id": 2,
                "code": "RepaymentRescheduleType.move.to.next.working.day",
                "value": "move to next working day",
            },
            "extendTermForDailyRepayments": False,
            "extendTermForRepaymentsOnHolidays": False,
        }
    )


def configurations(visit: Visit) -> Answer:
    tenant = visit.tenant
    flags = {
        "maker-checker": tenant.maker_checker,
        "allow-transactions-on-holiday": tenant.allow_on_holiday,
        "allow-transactions-on-non_workingday": tenant.allow_on_non_working_day,
        "enable-business-date": tenant.business_date_enabled,
    }
    rows = [
        {"id": number, "name": name, "enabled": enabled, "value": 0, "trapDoor": False}
        for number, (name, enabled) in enumerate(flags.items(), 1)
    ]
    return answer({"globalConfiguration": rows})


def products(visit: Visit) -> Answer:
    return answer([_product(visit.tenant, number) for number in visit.tenant.products])


def read_product(visit: Visit, product_id: str) -> Answer:
    """One product, with the flag behind contracts/mifos.md 5.2 row 9."""
    number = int(product_id) if product_id.isdigit() else 0
    if number not in visit.tenant.products:
        text = f"Loan product with identifier {product_id} does not exist"
        raise not_found("error.msg.loanproduct.id.invalid", text, product_id)
    return answer(_product(visit.tenant, number))


def _product(tenant: Tenant, number: int) -> Json:
    name = tenant.products[number]
    return {
        "id": number,
        "name": name,
        "shortName": name[:4].upper(),
        "currency": {"code": "KES"},
        "syncExpectedWithDisbursementDate": tenant.sync_expected_date,
    }


def authenticate(tenant: Tenant, body: Json, path: str) -> Answer:
    """POST /authentication: a Basic key and no access_token (contracts/mifos.md 1)."""
    user = tenant.users.get(str(body.get("username")))
    if user is None or user.password != body.get("password"):
        raise unauthenticated(path)
    key = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
    return answer(
        {
            "username": user.name,
            "userId": user.id,
            "base64EncodedAuthenticationKey": key,
            "authenticated": True,
            "officeId": 1,
            "officeName": "Head Office",
            "roles": [{"id": 4, "name": "Payout"}],
            "permissions": sorted(user.permissions),
            "shouldRenewPassword": False,
            "isTwoFactorAuthenticationRequired": False,
        }
    )


def list_commands(visit: Visit) -> Answer:
    waiting = [row for row in visit.tenant.commands.values() if row.result == "awaiting.approval"]
    return answer([audit_json(visit.tenant, row) for row in waiting])


def read_audit(visit: Visit, command_id: str) -> Answer:
    command = visit.tenant.commands.get(int(command_id)) if command_id.isdigit() else None
    if command is None:
        text = f"Audit with identifier {command_id} does not exist"
        raise not_found("error.msg.command.id.invalid", text, command_id)
    return answer(audit_json(visit.tenant, command))


def create_hook(visit: Visit) -> Answer:
    if not visit.user.may("CREATE_HOOK"):
        raise no_authority("CREATE_HOOK")
    body = visit.call.json
    if not body.get("config", {}).get("Payload URL"):
        raise invalid(
            [error_row("validation.msg.hook.Payload URL.cannot.be.blank", "Payload URL", "config")]
        )
    number = visit.tenant.new_id()
    visit.tenant.hooks[number] = {**body, "id": number}
    return answer({"resourceId": number})


def list_hooks(visit: Visit) -> Answer:
    return answer(list(visit.tenant.hooks.values()))


def delete_hook(visit: Visit, hook_id: str) -> Answer:
    visit.tenant.hooks.pop(int(hook_id), None)
    return answer({"resourceId": int(hook_id)})
