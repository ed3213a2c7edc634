"""All books of one schedule, read once: the sandbox's over HTTP, ours with plain SQL."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from campaigns.engines import Row, Tables
from sandbox.control import SandboxControl

REMARKS = re.compile(r"Loan ([0-9]+) attempt ([0-9]+)")
Unit = tuple[str, int]  # (tenant, loan id in Mifos X)


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """What M-Pesa, Mifos X and Loan Poll hold at one moment. Only the first two are the truth."""

    debits: list[Row]
    requests: list[Row]
    payments: dict[str, Row]
    transactions: list[Row]
    sim_loans: dict[Unit, Row]
    log: list[Row]
    letters: list[Row]
    problems: list[str]
    partners: dict[int, Row]
    loans: dict[int, Row]
    attempts: dict[int, Row]
    events: list[Row]
    unread: int

    @property
    def tenants(self) -> dict[str, str]:
        """Return shortcode -> tenant."""
        return {str(row["mpesa_shortcode"]): tenant_of(row) for row in self.partners.values()}

    def unit_of_loan(self, loan: Row) -> Unit:
        return tenant_of(self.partners[loan["partner_id"]]), int(loan["loan_id"])

    def unit_of_attempt(self, attempt: Row) -> Unit:
        return self.unit_of_loan(self.loans[attempt["loan_tracking_id"]])

    def unit_of_request(self, row: Row) -> Unit | None:
        """Return the unit a B2C request speaks of in its own remarks: without our tables."""
        found = REMARKS.fullmatch(str(row["fields"].get("Remarks", "")))
        tenant = self.tenants.get(str(row["fields"].get("PartyA", "")))
        return (tenant, int(found[1])) if found and tenant else None

    @property
    def unit_of_ocid(self) -> dict[str, Unit]:
        found = ((str(row["ocid"]), self.unit_of_request(row)) for row in self.requests)
        return {ocid: unit for ocid, unit in found if unit is not None}


def read_books(control: SandboxControl, tables: Tables) -> Books:
    """Read everything now."""
    ledger, book = control.ledger(), control.book()
    loans = book["loans"]
    return Books(
        debits=ledger["debits"],
        requests=ledger["requests"],
        payments={row["ocid"]: row for row in control.payments()},
        transactions=book["transactions"],
        sim_loans={(row["tenant"], int(row["loan_id"])): row for row in loans},
        log=control.requests(log=True)["log"],
        letters=control.callbacks()["letters"],
        problems=control.health()["problems"],
        partners=_by_id(tables.rows("SELECT * FROM partners")),
        loans=_by_id(tables.rows("SELECT * FROM loan_tracking ORDER BY id")),
        attempts=_by_id(tables.rows("SELECT * FROM disbursement_requests ORDER BY id")),
        events=[_event(row) for row in tables.rows("SELECT * FROM loan_events ORDER BY id")],
        unread=len(tables.rows("SELECT id FROM mpesa_callbacks WHERE applied_at IS NULL")),
    )


def tenant_of(partner: Row) -> str:
    return str(partner["mifos_tenant_id"])


def kes(value: Any) -> Decimal:
    """Return an amount of any book as an exact Decimal with two places."""
    return Decimal(str(value)).quantize(Decimal("0.01"))


def moment(value: Any) -> datetime:
    """Return a column's time in UTC; SQLite keeps text without a zone."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _by_id(rows: list[Row]) -> dict[int, Row]:
    return {int(row["id"]): row for row in rows}


def _event(row: Row) -> Row:
    details = row["details"]
    return {**row, "details": json.loads(details) if isinstance(details, str) else details}
