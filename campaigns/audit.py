"""Replays the trail of events and recomputes its chain, by its description alone."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator

from campaigns.books import Books, moment
from campaigns.engines import Row
from campaigns.verdict import Violation

# What must never happen again once it has happened (S15).
TERMINAL_ATTEMPTS = frozenset({"completed", "failed"})
TERMINAL_LOANS = frozenset({"disbursed"})


def audit_violations(books: Books) -> list[Violation]:
    """Return what is wrong with the trail: S15, A1, A2, A3."""
    found = [Violation("A3", text) for text in _broken_chains(books)]
    loans: dict[int, list[Row]] = defaultdict(list)
    attempts: dict[int, list[Row]] = defaultdict(list)
    for event in books.events:
        if event["disbursement_request_id"] is None:
            loans[event["loan_tracking_id"]].append(event)
        else:
            attempts[event["disbursement_request_id"]].append(event)
    found += _replayed("loan", loans, books.loans, TERMINAL_LOANS)
    found += _replayed("attempt", attempts, books.attempts, TERMINAL_ATTEMPTS)
    return found


def _replayed(
    what: str, trails: dict[int, list[Row]], rows: dict[int, Row], terminal: frozenset[str]
) -> list[Violation]:
    found = []
    for number, row in rows.items():
        now = ""
        for event in trails.get(number, []):
            if event["from_status"] != now:
                text = (
                    f"{what} {number}: event {event['id']} leaves {event['from_status']}, not {now}"
                )
                found.append(Violation("A1", text))
            if now in terminal and event["to_status"] != now:
                text = f"{what} {number} left {now} for {event['to_status']}"
                found.append(Violation("S15", text))
            now = event["to_status"]
        if now != row["status"]:
            text = f"{what} {number} is {row['status']}, its events end in {now or 'nothing'}"
            found.append(Violation("A2", text))
    return found


def _broken_chains(books: Books) -> Iterator[str]:
    heads: dict[int, str] = dict.fromkeys(books.loans, "")
    for event in books.events:
        loan = books.loans[event["loan_tracking_id"]]
        if event["previous_digest"] != heads[loan["id"]]:
            yield f"event {event['id']} does not follow the one before it"
        if event["digest"] != _digest(loan, event):
            yield f"event {event['id']} has another content than its digest"
        heads[loan["id"]] = event["digest"]
    for number, head in heads.items():
        if books.loans[number]["audit_head"] != head:
            yield f"loan row {number} names another last event"


def _digest(loan: Row, event: Row) -> str:
    content = [
        f"{loan['partner_id']}/{loan['loan_id']}/{loan['cycle']}",
        event["disbursement_request_id"],
        event["from_status"],
        event["to_status"],
        event["actor"],
        event["reason"],
        moment(event["at"]).isoformat(timespec="microseconds"),
        event["details"],
        event["previous_digest"],
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
