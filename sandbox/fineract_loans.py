"""Reading loans: lists as each era filters them, details, proof (contracts/mifos.md 2, 4, 7)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.calls import Answer, Call, Json, answer, dump
from sandbox.fineract_book import Loan, Tenant, Transaction, User
from sandbox.fineract_errors import container_page, error_row, invalid, not_found, server_error
from sandbox.fineract_shapes import (
    charge_json,
    loan_json,
    row_bytes,
    tranche_json,
    transaction_json,
)

_SQL_STATUS = re.compile(r"loan_status_id\s*(?:=|in)\s*\(?\s*([0-9,\s]+)\)?", re.IGNORECASE)
_SORT: dict[str, Callable[[Loan], Any]] = {
    "l.id": lambda loan: loan.id,
    "id": lambda loan: loan.id,
    "l.account_no": lambda loan: f"{loan.id:09d}",
    "accountNo": lambda loan: f"{loan.id:09d}",
}
_BIG_PRIME = 2_147_483_647


@dataclass(slots=True)
class Visit:
    """A call that has passed the door: its tenant and its user are known."""

    tenant: Tenant
    user: User
    call: Call
    page_order: bool = True


def find_loan(tenant: Tenant, loan_id: str) -> Loan:
    loan = tenant.loans.get(int(loan_id)) if loan_id.isdigit() else None
    if loan is None:
        shown = int(loan_id) if loan_id.isdigit() else loan_id
        raise not_found(
            "error.msg.loan.id.invalid", f"Loan with identifier {loan_id} does not exist", shown
        )
    return loan


def list_loans(visit: Visit) -> Answer:
    """Answer GET /loans; filters of another era are ignored in silence (contracts/mifos.md 2.1)."""
    rows = _double_rows(visit.tenant, _ordered(visit, _filtered(visit)))
    page = _page(visit, rows)
    visit.call.saw = {"rows": len(page)}
    if "fields" in visit.call.query:
        wanted = visit.call.query["fields"]
        shown = [_project(loan_json(visit.tenant, loan), wanted) for loan in page]
        return answer({"totalFilteredRecords": len(rows), "pageItems": shown})
    items = b",".join(row_bytes(visit.tenant, loan) for loan in page)
    return Answer(body=b'{"totalFilteredRecords":%d,"pageItems":[%b]}' % (len(rows), items))


def _filtered(visit: Visit) -> list[Loan]:
    query, tenant = visit.call.query, visit.tenant
    loans = list(tenant.loans.values())
    statuses = _statuses(tenant, query)
    if statuses is not None:
        loans = [loan for loan in loans if loan.status in statuses]
    if "externalId" in query:
        loans = [loan for loan in loans if loan.external_id == query["externalId"]]
    if "accountNo" in query:
        loans = [loan for loan in loans if f"{loan.id:09d}" == query["accountNo"]]
    if "clientId" in query and tenant.era == "2026":
        loans = [loan for loan in loans if str(loan.client_id) == query["clientId"]]
    return loans


def _statuses(tenant: Tenant, query: Any) -> set[int] | None:
    if tenant.era == "1.8":
        found = _SQL_STATUS.search(query.get("sqlSearch", ""))
        return {int(part) for part in found[1].split(",") if part.strip()} if found else None
    if not query.get("status"):
        return None
    try:
        return {int(query["status"])}
    except ValueError as exc:  # Integer.parseInt: contracts/mifos.md 2.1
        raise server_error(f'For input string: "{query["status"]}"') from exc


def _ordered(visit: Visit, loans: list[Loan]) -> list[Loan]:
    order = visit.call.query.get("orderBy")
    if not order:  # no default ORDER BY: contracts/mifos.md 2.2
        if visit.page_order:
            loans.sort(key=lambda loan: loan.id * 7_919 % _BIG_PRIME % 10_007)
        return loans
    if order not in _SORT:
        raise invalid([error_row("error.msg.invalid.sql", f"Invalid orderBy {order}", "orderBy")])
    down = visit.call.query.get("sortOrder", "ASC").upper() == "DESC"
    return sorted(loans, key=_SORT[order], reverse=down)


def _double_rows(tenant: Tenant, loans: list[Loan]) -> list[Loan]:
    """Repeat a JLG loan whose client and group have different offices (contracts/mifos.md 2.2)."""
    out: list[Loan] = []
    for loan in loans:
        out.append(loan)
        if loan.group_id is not None and loan.client_id is not None:
            client = tenant.clients.get(loan.client_id)
            if client is not None and client.office_id != (loan.group_office_id or 2):
                out.append(loan)
    return out


def _page(visit: Visit, rows: list[Loan]) -> list[Loan]:
    query = visit.call.query
    limit = int(query.get("limit") or 0)
    if not query.get("limit"):
        if visit.tenant.era != "1.8":
            return rows  # no LIMIT clause, and offset is ignored too: contracts/mifos.md 2.2
        limit = 200
    if limit <= 0:
        return rows
    start = int(query.get("offset") or 0) + int(visit.call.facts.get("shift", 0))
    return rows[max(0, start) : max(0, start) + limit]


def _project(row: Json, wanted: str) -> Json:
    names = {name.strip() for name in wanted.split(",")}
    return {name: value for name, value in row.items() if name in names}


def read_loan(visit: Visit, loan_id: str) -> Answer:
    return _loan_answer(visit, find_loan(visit.tenant, loan_id))


def read_loan_by_external_id(visit: Visit, external_id: str) -> Answer:
    if visit.tenant.era == "1.8":
        raise container_page(404, "Not Found")
    for loan in visit.tenant.loans.values():
        if loan.external_id == external_id:
            return _loan_answer(visit, loan)
    raise not_found(
        "error.msg.loan.external.id.invalid",
        f"Loan with external identifier {external_id} does not exist",
    )


def _loan_answer(visit: Visit, loan: Loan) -> Answer:
    visit.call.saw = {"status": loan.status, "net": str(loan.net), "client": loan.client_id}
    wanted = {part.strip() for part in visit.call.query.get("associations", "").split(",")} - {""}
    if not wanted and "fields" not in visit.call.query:
        return Answer(body=row_bytes(visit.tenant, loan))
    detail = loan_json(visit.tenant, loan)
    detail.update(_associations(visit.tenant, loan, wanted))
    if "fields" in visit.call.query:
        detail = _project(detail, visit.call.query["fields"])
    return answer(detail)


def _associations(tenant: Tenant, loan: Loan, wanted: set[str]) -> Json:
    out: Json = {}
    everything = "all" in wanted
    if everything or "charges" in wanted:
        out["charges"] = [charge_json(loan)] if loan.charges else []
        out["overdueCharges"] = []
    if (everything or "multiDisburseDetails" in wanted) and loan.multi_disburse:
        out["disbursementDetails"] = [tranche_json(tenant, row) for row in loan.tranches]
    if (everything or "linkedAccount" in wanted) and loan.linked_savings:
        out["linkedAccount"] = {
            "id": loan.linked_savings,
            "accountNo": f"{loan.linked_savings:09d}",
        }
    if (everything or "transactions" in wanted) and loan.transactions:
        out["transactions"] = [transaction_json(tenant, loan, row) for row in loan.transactions]
    return out


def read_transaction(visit: Visit, loan_id: str, transaction_id: str) -> Answer:
    loan = find_loan(visit.tenant, loan_id)
    for row in loan.transactions:
        if str(row.id) == transaction_id:
            return _transaction_answer(visit, loan, row)
    raise _no_transaction("", transaction_id)


def read_transaction_by_external_id(visit: Visit, loan_id: str, external_id: str) -> Answer:
    """Answer the proof of contracts/mifos.md 7; 1.8 has no such path, and its 404 is a page."""
    if visit.tenant.era == "1.8":
        raise container_page(404, "Not Found")
    loan = find_loan(visit.tenant, loan_id)
    row = visit.tenant.external_ids.get(external_id)
    if row is None or row.loan_id != loan.id:
        raise _no_transaction("external.", external_id)
    return _transaction_answer(visit, loan, row)


def _transaction_answer(visit: Visit, loan: Loan, row: Transaction) -> Answer:
    visit.call.saw = {"transaction": row.id, "reversed": row.reversed}
    return answer(transaction_json(visit.tenant, loan, row))


def _no_transaction(kind: str, wanted: str) -> Exception:
    return not_found(
        f"error.msg.loan.transaction.{kind}id.invalid",
        f"Transaction with {kind.replace('.', ' ')}identifier {wanted} does not exist",
        wanted,
    )


def batch_bodies(body: bytes) -> list[Json]:
    """Return the items of POST /batches. Raises ValueError."""
    items = json.loads(body)
    if not isinstance(items, list):
        raise ValueError("a batch is a list")  # noqa: TRY004 - it is answered like other bad JSON
    return items


def batch_answer(replies: list[tuple[Any, Answer]]) -> Answer:
    """Each item has its own statusCode, and a body that is a string (contracts/mifos.md 2.5)."""
    rows = [
        {"requestId": request_id, "statusCode": reply.status, "body": reply.body.decode()}
        for request_id, reply in replies
    ]
    return Answer(body=dump(rows))
