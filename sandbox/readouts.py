"""The books as the sandbox keeps them, for whoever compares them with the product's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sandbox.calls import Json
from sandbox.fineract_book import Loan, Tenant, Transaction
from sandbox.state import World

Query = Mapping[str, str]


def _since(query: Query) -> int:
    return int(query.get("since", 0))


def ledger(world: World, query: Query) -> Json:
    """Return every debit, every B2C request seen, and the accounts. `since` skips that many."""
    start = _since(query)
    book = world.ledger
    return {
        "debits": [row.as_json() for row in book.debits[start:]],
        "requests": book.requests[start:],
        "shortcodes": {code: _texts(asdict(row)) for code, row in book.shortcodes.items()},
        "tokens_issued": world.tokens.issued,
    }


def _texts(row: Json) -> Json:
    money = ("utility", "working", "charges")
    return {name: f"{value:.2f}" if name in money else value for name, value in row.items()}


def payments(world: World) -> list[Json]:
    """Return every accepted B2C request with its fate."""
    hidden = {"password"}
    return [
        {
            name: f"{value:.2f}" if name in ("amount", "fee") else value
            for name, value in asdict(row).items()
            if name not in hidden
        }
        for row in world.ledger.payments.values()
    ]


def book(world: World, query: Query) -> Json:
    """Return every disbursal transaction, by tenant, and each loan's status."""
    wanted = query.get("tenant")
    tenants = [row for row in world.tenants.values() if wanted in (None, row.name)]
    return {
        "transactions": [
            _transaction(tenant, loan, row)
            for tenant in tenants
            for loan in tenant.loans.values()
            for row in loan.transactions
            if row.type_id == 1
        ],
        "loans": [
            {
                "tenant": tenant.name,
                "loan_id": loan.id,
                "status": loan.status,
                "net": f"{loan.net:.2f}",
            }
            for tenant in tenants
            for loan in tenant.loans.values()
        ],
    }


def _transaction(tenant: Tenant, loan: Loan, row: Transaction) -> Json:
    payment = row.payment or {}
    return {
        "tenant": tenant.name,
        "loan_id": loan.id,
        "id": row.id,
        "external_id": row.external_id,
        "receipt": payment.get("receiptNumber"),
        "account_number": payment.get("accountNumber"),
        "payment_type_id": payment.get("paymentTypeId"),
        "amount": f"{row.amount:.2f}",
        "net": None if row.net is None else f"{row.net:.2f}",
        "date": row.on.isoformat(),
        "reversed": row.reversed,
        "by": row.by,
        "at": row.at,
    }


def loan_state(tenant: Tenant, loan_id: int) -> Json:
    """Return one loan as it is, with everything that ever happened to it."""
    loan = tenant.loans[loan_id]
    client = tenant.clients.get(loan.client_id or 0)
    return {
        "tenant": tenant.name,
        "loan_id": loan.id,
        "status": loan.status,
        "principal": f"{loan.principal:.2f}",
        "net": f"{loan.net:.2f}",
        "mobile_no": client.mobile_no if client else None,
        "client_id": loan.client_id,
        "approved_on": loan.approved_on,
        "history": loan.history,
        "transactions": [_transaction(tenant, loan, row) for row in loan.transactions],
    }


def request_log(world: World, query: Query) -> Json:
    """Return how many calls each endpoint got, and with `log=1` each call in order."""
    counts: Json = {"mifos": {}, "mpesa": {}}
    for (system, call), number in sorted(world.counts.items()):
        counts[system][call] = number
    out: Json = {"counts": counts, "total": sum(world.counts.values())}
    if query.get("log"):
        out["log"] = world.log[_since(query) :]
    return out


def callbacks(world: World, query: Query) -> Json:
    """Return the letters and how many are pending, held, sent, lost, failed or dropped."""
    letters: list[Any] = list(world.deliveries.letters.values())[_since(query) :]
    rows = [_letter(row, bodies=bool(query.get("bodies"))) for row in letters]
    kinds = Counter(row.kind for row in letters)
    return {"counts": world.deliveries.counts(), "kinds": dict(kinds), "letters": rows}


def _letter(letter: Any, *, bodies: bool) -> Json:
    row = asdict(letter)
    sent = row.pop("body")
    if bodies:
        row["body"] = sent.decode(errors="replace")[:100_000]
    return dict(row)
