"""The oracle is tested, too: true books pass, and every lie that it is there for is seen."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal

import pytest

from sandbox.world import small_world
from tests.journeys.books import Books, problems_of, read_books
from tests.journeys.conftest import Open

pytestmark = pytest.mark.django_db(transaction=True)

Lie = Callable[[Books], object]


def second_debit(books: Books) -> None:
    books.debits.append({**books.debits[0], "receipt": "SGH0000001"})


def call_of(books: Books, name: str) -> dict[str, object]:
    """Return the last call of this name before the first payment was asked for."""
    at = books.requests[0]["at"]
    return [call for call in books.calls if call["call"] == name and call["at"] <= at][-1]


def failed_event(books: Books) -> dict[str, object]:
    return next(
        e for e in books.events if e["to_status"] == "failed" and e["disbursement_request_id"]
    )


def failed_attempt(books: Books) -> dict[str, object]:
    return next(a for a in books.attempts if a["status"] == "failed")


def paid_attempt(books: Books) -> dict[str, object]:
    return next(a for a in books.attempts if a["status"] == "completed")


LIES: list[tuple[str, Lie]] = [
    ("S1", second_debit),
    ("S6", lambda b: b.debits.append({**b.debits[0], "ocid": "600997-unknown"})),
    ("S6", lambda b: b.requests.append({**b.requests[0], "ocid": "600997-unknown"})),
    ("S2-S4, S7", lambda b: b.requests[0]["fields"].update(Amount="1")),
    ("S2-S4, S7", lambda b: b.requests[0]["fields"].update(PartyB="254700000000")),
    ("S2-S4, S7", lambda b: b.requests[0]["fields"].update(PartyA="600000")),
    ("S2-S4, S7", lambda b: b.requests[0].update(version="v1")),
    ("S4", lambda b: b.attempts[0].update(partner_shortcode="600000")),
    ("S5 nobody", lambda b: b.calls.clear()),
    (
        "S5 asked although",
        lambda b: call_of(b, "loan").update(saw={"status": 300, "net": "1", "client": 1001}),
    ),
    ("S5 the look", lambda b: call_of(b, "client").update(at=b.requests[0]["at"] - 11)),
    ("S2", lambda b: [c["saw"].update(net="1") for c in b.calls if c["call"] == "loan"]),
    (
        "S3",
        lambda b: [
            c["saw"].update(mobileNo="0700000000") for c in b.calls if c["call"] == "client"
        ],
    ),
    ("S3", lambda b: [c["saw"].update(active=False) for c in b.calls if c["call"] == "client"]),
    ("S8", lambda b: b.attempts.append({**paid_attempt(b), "id": 999, "status": "unknown"})),
    ("S9", lambda b: failed_event(b).update(id=10**9)),
    ("S10", lambda b: failed_event(b).update(details={})),
    (
        "S12",
        lambda b: b.debits.append(
            {**b.debits[0], "ocid": failed_attempt(b)["originator_conversation_id"]}
        ),
    ),
    (
        "S11 completed, and M-Pesa",
        lambda b: paid_attempt(b).update(transaction_receipt="SGH0000001"),
    ),
    ("S11 disbursed without", lambda b: b.debits.clear()),
    ("S12 cancelled", lambda b: [loan.update(status="cancelled") for loan in b.loans]),
    ("S11 completed, and not", lambda b: b.transactions.clear()),
    ("S13 2 disbursals", lambda b: b.transactions.append(dict(b.transactions[0]))),
    ("S13 recorded", lambda b: b.transactions[0].update(amount="1")),
    ("S14", lambda b: b.transactions[0].update(at=0.0)),
    ("S14", lambda b: b.transactions[0].update(receipt="SGH0000001")),
    (
        "S15 event",
        lambda b: b.events.append(
            {
                **b.events[-1],
                "id": 10**9,
                "from_status": "completed",
                "disbursement_request_id": paid_attempt(b)["id"],
            }
        ),
    ),
    ("A2 event", lambda b: b.events[1].update(from_status="paid")),
    ("A2 loan", lambda b: b.loans[0].update(status="failed")),
    ("A2 attempt", lambda b: b.attempts[-1].update(status="unknown")),
    ("A3", lambda b: b.events.pop(1)),
]


@pytest.fixture
def books(open_stage: Open) -> Books:
    """The books after one loan was paid, and one refused once and then paid."""
    stage = open_stage(small_world(payable=2, kinds=()))
    stage.sandbox.change_shortcode(stage.shortcode, utility=str(stage.sample.payable[0].net))
    stage.sync_until(
        lambda: any(a["status"] == "failed" for a in read_books(stage.sandbox).attempts)
    )
    stage.sandbox.top_up(stage.shortcode, 600_000)
    stage.sync_until(stage.is_done, passes=12)
    return read_books(stage.sandbox)


def test_true_books_pass_and_every_lie_is_seen(books: Books) -> None:
    assert problems_of(books) == []
    assert {each["amount"] for each in books.attempts} != {Decimal(0)}
    for said, tell in LIES:
        told = deepcopy(books)
        tell(told)
        found = problems_of(told)
        assert any(line.startswith(said) for line in found), (said, found)
