"""The campaigns' oracle, held against books with planted breaks: it must see each of them."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.books import Books
from campaigns.oracle import Case, violations
from campaigns.worlds import lenders

WORLD = lenders(loans=4, seed=3, unpayable=1)
LOAN = WORLD.payable[0]
OCID, EXTERNAL, RECEIPT = "600001-aa", "loanpoll-aa", "SGH7K2M9QD"
AT = "2026-11-23 06:40:02.114000"


def event(number: int, previous: str, **columns: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "loan_tracking_id": 1,
        "disbursement_request_id": None,
        "actor": "system",
        "reason": "because",
        "at": AT,
        "details": {},
        "previous_digest": previous,
        **columns,
    }
    names = ("disbursement_request_id", "from_status", "to_status", "actor", "reason")
    at = AT.replace(" ", "T") + "+00:00"
    content = [f"1/{LOAN.loan_id}/1", *(row[name] for name in names), at, row["details"], previous]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {**row, "digest": hashlib.sha256(text.encode()).hexdigest()}


def trail(*steps: tuple[int | None, str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, (attempt, before, after) in enumerate(steps, start=1):
        previous = rows[-1]["digest"] if rows else ""
        names = {"disbursement_request_id": attempt, "from_status": before, "to_status": after}
        rows.append(event(number, previous, **names))
    return rows


def good_books() -> dict[str, Any]:
    """One loan of lender1, paid and recorded, in all three books; the others are not yet known."""
    tenant, loan_id = LOAN.tenant, LOAN.loan_id
    events = trail(
        (None, "", "pending_disbursement"),
        (7, "", "submitting"),
        (None, "pending_disbursement", "processing_disbursement"),
        (7, "submitting", "paid"),
        (7, "paid", "completed"),
        (None, "processing_disbursement", "disbursed"),
    )
    look: dict[str, Any] = {"call": "loan", "tenant": tenant, "loan_id": loan_id, "at": 99.0}
    look["saw"] = {"status": 200, "net": str(LOAN.net), "client": LOAN.client_id}
    client: dict[str, Any] = {
        "call": "client",
        "tenant": tenant,
        "client_id": LOAN.client_id,
        "at": 99.1,
    }
    client["saw"] = {"mobileNo": LOAN.raw_phone}
    send = {
        "call": "b2c",
        "ocid": OCID,
        "at": 100.0,
        "amount": str(LOAN.net),
        "msisdn": LOAN.msisdn,
    }
    fields = {
        "Amount": str(LOAN.net),
        "PartyA": "600001",
        "PartyB": LOAN.msisdn,
        "InitiatorName": "api-lender1",
        "Remarks": f"Loan {loan_id} attempt 1",
    }
    return {
        "debits": [
            {
                "ocid": OCID,
                "receipt": RECEIPT,
                "amount": str(LOAN.net),
                "at": 100.5,
                "reversed": False,
            }
        ],
        "requests": [{"ocid": OCID, "at": 100.0, "version": "v3", "fields": fields}],
        "payments": {OCID: {"ocid": OCID, "code": "0", "shortcode": "600001"}},
        "transactions": [
            {
                "tenant": tenant,
                "loan_id": loan_id,
                "by": "svc-lender1",
                "at": 101.0,
                "amount": str(LOAN.principal),
                "net": str(LOAN.net),
                "receipt": RECEIPT,
                "external_id": EXTERNAL,
                "reversed": False,
            }
        ],
        "sim_loans": {},
        "log": [look, client, send],
        "letters": [],
        "problems": [],
        "partners": {
            1: {
                "id": 1,
                "mifos_tenant_id": tenant,
                "mpesa_shortcode": "600001",
                "mpesa_initiator_name": "api-lender1",
                "daily_limit": None,
            },
            2: {"id": 2, "mifos_tenant_id": "lender2", "mpesa_shortcode": "600002"},
        },
        "loans": {
            1: {
                "id": 1,
                "partner_id": 1,
                "loan_id": loan_id,
                "cycle": 1,
                "status": "disbursed",
                "disbursement_status": "completed",
                "review_reason": "",
                "hold_reason": "",
                "error_message": "",
                "next_attempt_at": None,
                "decided_at": AT,
                "audit_head": events[-1]["digest"],
            }
        },
        "attempts": {
            7: {
                "id": 7,
                "loan_tracking_id": 1,
                "partner_id": 1,
                "attempt_no": 1,
                "status": "completed",
                "amount": str(LOAN.net),
                "principal": str(LOAN.principal),
                "msisdn": LOAN.msisdn,
                "created_at": AT,
                "originator_conversation_id": OCID,
                "mifos_external_id": EXTERNAL,
                "transaction_receipt": RECEIPT,
            }
        },
        "events": events,
        "unread": 0,
    }


def names_of(parts: dict[str, Any]) -> set[str]:
    others = {(row.tenant, row.loan_id) for row in WORLD.payable} - {(LOAN.tenant, LOAN.loan_id)}
    books, now = Books(**parts), datetime(2026, 11, 23, 7, tzinfo=UTC)
    case = Case(books=books, world=WORLD, now=now, touched=frozenset(others))
    return {violation.name for violation in violations(case)}


def test_true_books_break_no_promise():
    assert names_of(good_books()) == set()


def paid_twice(books):
    books["debits"].append({**books["debits"][0], "receipt": "SGH7K2M9QE"})


def other_amount(books):
    books["log"][2]["amount"] = "1"


def other_phone(books):
    books["log"][2]["msisdn"] = "254799999999"


def other_shortcode(books):
    books["partners"][1]["mpesa_initiator_name"] = "api-lender2"


def no_look(books):
    del books["log"][0]


def old_look(books):
    books["log"][0]["at"] = 80.0


def not_waiting(books):
    books["log"][0]["saw"]["status"] = 300


def unknown_request(books):
    books["attempts"][7]["originator_conversation_id"] = "600001-bb"


def other_resend(books):
    again = copy.deepcopy(books["requests"][0])
    again["fields"]["Amount"] = "1"
    books["requests"].append(again)


def second_live_attempt(books):
    books["attempts"][8] = {**books["attempts"][7], "id": 8, "attempt_no": 2}


def failed_on_time_alone(books):
    books["events"].append({**books["events"][3], "id": 9, "to_status": "failed"})


def never_recorded(books):
    books["transactions"].clear()


def never_paid(books):
    books["debits"].clear()


def failed_and_paid(books):
    books["attempts"][7]["status"] = "failed"


def recorded_net(books):
    books["transactions"][0]["amount"] = "1"


def recorded_before_paid(books):
    books["debits"][0]["at"] = 200.0


def left_completed(books):
    books["events"] = trail((7, "", "completed"), (7, "completed", "failed"))


def forbidden_loan_paid(books):
    forbidden = next(row for row in WORLD.loans if not row.payable)
    books["requests"][0]["fields"]["PartyA"] = {"lender1": "600001", "lender2": "600002"}[
        forbidden.tenant
    ]
    books["requests"][0]["fields"]["Remarks"] = f"Loan {forbidden.loan_id} attempt 1"


def over_the_limit(books):
    books["partners"][1]["daily_limit"] = "10"


def sent_after_a_credential_fault(books):
    books["payments"][OCID]["code"] = "2001"
    facts = {"ocid": OCID}
    letter = {
        "kind": "payment_result",
        "state": "sent",
        "sent_at": 90.0,
        "status": 200,
        "facts": facts,
    }
    books["letters"].append(letter)
    books["requests"].append(books["requests"][0])


def event_missing(books):
    del books["events"][2]


def status_without_event(books):
    books["loans"][1]["status"] = "failed"


def event_rewritten(books):
    books["events"][1]["reason"] = "another"


def left_open(books):
    books["loans"][1]["status"] = "processing_disbursement"


def receipts_differ(books):
    books["debits"][0]["receipt"] = "SGH7K2M9QZ"


def callback_answered_500(books):
    letter = {"kind": "payment_result", "state": "sent", "sent_at": 1.0, "status": 500, "facts": {}}
    books["letters"].append(letter)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("S1", paid_twice),
        ("S2", other_amount),
        ("S3", other_phone),
        ("S4", other_shortcode),
        ("S5", no_look),
        ("S5", old_look),
        ("S5", not_waiting),
        ("S6", unknown_request),
        ("S7", other_resend),
        ("S8", second_live_attempt),
        ("S9", second_live_attempt),
        ("S10", failed_on_time_alone),
        ("S11", never_recorded),
        ("S11", never_paid),
        ("S12", failed_and_paid),
        ("S13", recorded_net),
        ("S14", recorded_before_paid),
        ("S15", left_completed),
        ("S16", forbidden_loan_paid),
        ("S17", over_the_limit),
        ("S20", sent_after_a_credential_fault),
        ("A1", event_missing),
        ("A2", status_without_event),
        ("A3", event_rewritten),
        ("L1", left_open),
        ("books", receipts_differ),
        ("web", callback_answered_500),
    ],
)
def test_a_planted_break_is_seen_under_its_name(name, spoil):
    books = good_books()

    spoil(books)

    assert name in names_of(books)


def test_a_second_knock_after_all_was_paid_and_recorded_is_no_blind_send():
    books = good_books()
    read = {**books["log"][0], "at": 102.0, "saw": {**books["log"][0]["saw"], "status": 300}}
    again = {**books["log"][2], "at": 103.0}
    books["log"] += [read, again]

    assert "S5" not in names_of(books)
    books["transactions"][0]["at"] = 104.0  # recorded by hand meanwhile, and by us only later
    assert "S5" in names_of(books)
