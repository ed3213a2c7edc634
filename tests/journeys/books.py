"""The oracle: M-Pesa's book, Mifos X's book and ours side by side (reliability.md 1.1, S1 to S16).

It reads the sandbox's ledgers and our tables, and none of the product's code, so that a mistake of
the product cannot hide in it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db import connection

Row = dict[str, Any]
Unit = tuple[str, int, int]  # tenant, loan id, cycle
RECHECK_MAX_AGE = 10.0
OURS = "loanpoll-"
CLOSED = {"completed", "failed"}
ATTEMPTS = """
    SELECT a.*, l.loan_id, l.cycle, l.status AS loan_status, l.loan_amount, p.mifos_tenant_id,
           p.mpesa_shortcode AS partner_shortcode
    FROM disbursement_requests a
    JOIN loan_tracking l ON l.id = a.loan_tracking_id JOIN partners p ON p.id = a.partner_id
    ORDER BY a.id
"""
LOANS = """
    SELECT l.*, p.mifos_tenant_id FROM loan_tracking l JOIN partners p ON p.id = l.partner_id
    ORDER BY l.id
"""
EVENTS = "SELECT * FROM loan_events ORDER BY id"


@dataclass(frozen=True, slots=True)
class Books:
    """The three books of one moment."""

    debits: list[Row]
    requests: list[Row]
    calls: list[Row]
    transactions: list[Row]
    attempts: list[Row]
    loans: list[Row]
    events: list[Row]

    @property
    def paid(self) -> dict[tuple[str, int], tuple[str, Decimal]]:
        """Return (tenant, loan id) -> (phone, amount) of every debit, as M-Pesa made it."""
        units = {each["originator_conversation_id"]: unit_of(each) for each in self.attempts}
        return {
            units[debit["ocid"]][:2]: (debit["msisdn"], Decimal(debit["amount"]))
            for debit in self.debits
        }

    @property
    def recorded(self) -> set[tuple[str, int]]:
        """Return (tenant, loan id) of every disbursal of ours that stands in Mifos X."""
        return {
            (row["tenant"], row["loan_id"])
            for row in self.transactions
            if is_ours(row) and not row["reversed"]
        }

    def statuses(self) -> Counter[str]:
        return Counter(loan["status"] for loan in self.loans)


def read_books(sandbox: Any) -> Books:
    """Read all three books now."""
    ledger = sandbox.ledger()
    return Books(
        debits=ledger["debits"],
        requests=ledger["requests"],
        calls=sandbox.requests(log=True)["log"],
        transactions=sandbox.book()["transactions"],
        attempts=_rows(ATTEMPTS),
        loans=_rows(LOANS),
        events=_rows(EVENTS),
    )


def check_books(sandbox: Any) -> Books:
    """Read the books and hold them against every promise about money; return them."""
    books = read_books(sandbox)
    problems = problems_of(books)
    assert problems == [], "\n".join(problems)
    return books


def problems_of(books: Books) -> list[str]:
    """Return a line for every promise that these books break."""
    return [
        *_paid_at_most_once(books),
        *_asked_for_only_what_was_promised(books),
        *_looked_before_it_asked(books),
        *_one_attempt_at_a_time(books),
        *_failed_with_proof(books),
        *_tables_agree_with_money(books),
        *_recorded_what_was_paid(books),
        *_history_tells_the_tables(books),
    ]


def unit_of(row: Row) -> Unit:
    return row["mifos_tenant_id"], row["loan_id"], row["cycle"]


def is_ours(transaction: Row) -> bool:
    return str(transaction["external_id"] or "").startswith(OURS)


def _rows(sql: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        for name in ("amount", "principal", "loan_amount"):
            if row.get(name) is not None:
                row[name] = Decimal(str(row[name]))
        if isinstance(row.get("details"), str):
            row["details"] = json.loads(row["details"])
    return rows


def _attempt_by_id(books: Books) -> dict[str, Row]:
    return {each["originator_conversation_id"]: each for each in books.attempts}


def _paid_at_most_once(books: Books) -> list[str]:
    """S1, S4, S6: each unit is paid once at most, and every payment has its attempt."""
    known = _attempt_by_id(books)
    unknown = [
        f"S6 paid without an attempt: {d['ocid']}" for d in books.debits if d["ocid"] not in known
    ]
    units = Counter(
        unit_of(known[debit["ocid"]]) for debit in books.debits if debit["ocid"] in known
    )
    return unknown + [
        f"S1 paid {count} times: {unit}" for unit, count in units.items() if count > 1
    ]


def _asked_for_only_what_was_promised(books: Books) -> list[str]:
    """S2, S3, S4, S6, S7: every request says what its committed attempt says, every time."""
    known = _attempt_by_id(books)
    problems = []
    for request in books.requests:
        fields, attempt = request["fields"], known.get(str(request["ocid"]))
        if attempt is None:
            problems.append(f"S6 asked without an attempt: {request['ocid']}")
            continue
        said = (fields["Amount"], fields["PartyB"], fields["PartyA"], request["version"])
        promised = (
            str(int(attempt["amount"])),
            attempt["msisdn"],
            attempt["mpesa_shortcode"],
            "v3",
        )
        if said != promised:
            problems.append(f"S2-S4, S7 asked {said}, promised {promised}: {request['ocid']}")
        if attempt["mpesa_shortcode"] != attempt["partner_shortcode"]:
            problems.append(f"S4 paid from another partner's shortcode: {request['ocid']}")
    return problems


def _looked_before_it_asked(books: Books) -> list[str]:
    """S2, S3, S5: Mifos X's last answers before each request allowed exactly this payment."""
    known = _attempt_by_id(books)
    loans: dict[tuple[str, int], list[Row]] = defaultdict(list)
    clients: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for call in books.calls:
        if call["call"] == "loan" and "saw" in call:
            loans[call["tenant"], call["loan_id"]].append(call)
        if call["call"] == "client" and "saw" in call:
            clients[call["tenant"], call["client_id"]].append(call)
    problems = []
    for request in books.requests:
        attempt = known.get(str(request["ocid"]))
        if attempt is None:
            continue
        tenant, loan_id, _ = unit_of(attempt)
        loan = _last_before(loans[tenant, loan_id], request["at"])
        client = loan and _last_before(clients[tenant, loan["saw"]["client"]], request["at"])
        if not loan or not client:
            problems.append(f"S5 nobody looked before: {request['ocid']}")
            continue
        if loan["saw"]["status"] != 200:
            problems.append(f"S5 asked although Mifos X said {loan['saw']}: {request['ocid']}")
        if request["at"] - min(loan["at"], client["at"]) > RECHECK_MAX_AGE:
            problems.append(f"S5 the look was too old: {request['ocid']}")
        if Decimal(loan["saw"]["net"]) != attempt["amount"]:
            problems.append(
                f"S2 {attempt['amount']} is not {loan['saw']['net']}: {request['ocid']}"
            )
        digits = "".join(part for part in client["saw"]["mobileNo"] or "" if part.isdigit())
        if not client["saw"]["active"] or digits[-9:] != attempt["msisdn"][-9:]:
            problems.append(f"S3 {attempt['msisdn']} is not {client['saw']}: {request['ocid']}")
    return problems


def _last_before(calls: list[Row], at: float) -> Row | None:
    return next((call for call in reversed(calls) if call["at"] <= at), None)


def _one_attempt_at_a_time(books: Books) -> list[str]:
    """S8, S9: one open attempt at most; the next one begins after the proof that ended the last."""
    live = Counter(
        each["loan_tracking_id"] for each in books.attempts if each["status"] != "failed"
    )
    problems = [
        f"S8 loan {loan} has {count} live attempts" for loan, count in live.items() if count > 1
    ]
    began = {
        e["disbursement_request_id"]: e["id"]
        for e in books.events
        if e["from_status"] == "" and e["disbursement_request_id"]
    }
    ended = {
        e["disbursement_request_id"]: e["id"]
        for e in books.events
        if e["to_status"] == "failed" and e["disbursement_request_id"]
    }
    attempts = sorted(
        books.attempts, key=lambda each: (each["loan_tracking_id"], each["attempt_no"])
    )
    for first, second in pairwise(attempts):
        if first["loan_tracking_id"] != second["loan_tracking_id"]:
            continue
        start = began.get(second["id"], 0)
        if ended.get(first["id"], start) >= start:
            problems.append(f"S9 attempt {second['id']} began before {first['id']} was proven dead")
    return problems


def _failed_with_proof(books: Books) -> list[str]:
    """S10, S12: nothing fails without evidence, and what failed moved no money."""
    proofs = {
        e["disbursement_request_id"]: e["details"].get("proof")
        for e in books.events
        if e["to_status"] == "failed" and e["disbursement_request_id"]
    }
    paid = {debit["ocid"] for debit in books.debits}
    problems = []
    for attempt in books.attempts:
        if attempt["status"] != "failed":
            continue
        if not proofs.get(attempt["id"]):
            problems.append(f"S10 failed without proof: {attempt['originator_conversation_id']}")
        if attempt["originator_conversation_id"] in paid:
            problems.append(f"S12 failed and paid: {attempt['originator_conversation_id']}")
    return problems


def _tables_agree_with_money(books: Books) -> list[str]:
    """S11, S12, S15: our words about money are true."""
    known = _attempt_by_id(books)
    debits = {debit["ocid"]: debit for debit in books.debits}
    units = {unit_of(known[ocid]) for ocid in debits if ocid in known}
    problems = []
    for attempt in books.attempts:
        debit = debits.get(attempt["originator_conversation_id"])
        if attempt["status"] not in {"paid", "completed"}:
            continue
        if debit is None or debit["receipt"] != attempt["transaction_receipt"]:
            problems.append(f"S11 {attempt['status']}, and M-Pesa says {debit}")
    for loan in books.loans:
        is_paid = unit_of(loan) in units
        if loan["status"] == "disbursed" and not is_paid:
            problems.append(f"S11 disbursed without a payment: {unit_of(loan)}")
        if loan["status"] in {"failed", "cancelled", "pending_disbursement"} and is_paid:
            problems.append(f"S12 {loan['status']} and paid: {unit_of(loan)}")
    return problems


def _recorded_what_was_paid(books: Books) -> list[str]:
    """S11, S13, S14: Mifos X holds our disbursals of paid loans, gross, once, with the receipt."""
    receipts = {debit["receipt"]: debit for debit in books.debits}
    ours = [row for row in books.transactions if is_ours(row)]
    by_external_id = {each["mifos_external_id"]: each for each in books.attempts}
    standing = Counter((row["tenant"], row["loan_id"]) for row in ours if not row["reversed"])
    problems = [
        f"S13 {count} disbursals of ours: {unit}" for unit, count in standing.items() if count > 1
    ]
    for row in ours:
        debit, attempt = receipts.get(row["receipt"]), by_external_id.get(row["external_id"])
        if debit is None or attempt is None or debit["at"] > row["at"]:
            problems.append(f"S14 recorded without a payment before it: {row}")
        elif (
            Decimal(row["amount"]) != attempt["principal"]
            or debit["ocid"] != attempt["originator_conversation_id"]
        ):
            problems.append(
                f"S13 recorded {row['amount']}, principal {attempt['principal']}: {row}"
            )
    recorded = {row["external_id"] for row in ours}
    problems += [
        f"S11 completed, and not in Mifos X: {each['mifos_external_id']}"
        for each in books.attempts
        if each["status"] == "completed" and each["mifos_external_id"] not in recorded
    ]
    return problems


def _history_tells_the_tables(books: Books) -> list[str]:
    """A1, A2, S15: the events, read from the start, give every status there is, link by link."""
    loans: dict[int, str] = {}
    attempts: dict[int, str] = {}
    heads: dict[int, str] = {}
    problems = []
    for event in books.events:
        key, attempt = event["loan_tracking_id"], event["disbursement_request_id"]
        book, name = (attempts, attempt) if attempt else (loans, key)
        if book.get(name, "") != event["from_status"]:
            problems.append(
                f"A2 event {event['id']} leaves {event['from_status']}, not {book.get(name)}"
            )
        if attempt and event["from_status"] in CLOSED:
            problems.append(f"S15 event {event['id']} leaves {event['from_status']}")
        if attempt and event["from_status"] == "paid" and event["to_status"] != "completed":
            problems.append(f"S15 event {event['id']} takes a payment back")
        if heads.get(key, "") != event["previous_digest"]:
            problems.append(f"A3 event {event['id']} is not chained")
        book[name], heads[key] = event["to_status"], event["digest"]
    problems += [
        f"A2 loan {r['id']}: {r['status']} was never told"
        for r in books.loans
        if loans.get(r["id"]) != r["status"]
    ]
    problems += [
        f"A2 attempt {r['id']}: {r['status']} was never told"
        for r in books.attempts
        if attempts.get(r["id"]) != r["status"]
    ]
    return problems
