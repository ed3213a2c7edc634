"""What one loan costs in HTTP calls and database statements. `script/cost` prints the numbers.

Costs are differences between two sizes, so that what a pass costs anyway does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from disbursements.models import TriggeredBy
from disbursements.passes import run_fetch, run_process
from loans.models import LoanTracking
from sandbox.world import small_world
from tests.counting.meter import counted_statements, difference, http_calls
from tests.journeys.conftest import Open, Stage

pytestmark = pytest.mark.django_db(transaction=True)

FEW, MANY = 5, 25
KNOWN_FEW, KNOWN_MANY = 50, 450
# A paid loan: the client when found, loan and client again before paying, and to record it the
# loan, the disbursement and the loan once more.
MIFOS_CALLS_PER_PAID_LOAN = 6
MPESA_CALLS_PER_PAID_LOAN = 1
STATEMENTS_PER_PAID_LOAN = 52


@dataclass(frozen=True)
class Cost:
    """One measurement: HTTP calls by name, and statements."""

    calls: dict[str, int]
    statements: int

    def of(self, system: str) -> int:
        return sum(number for call, number in self.calls.items() if call.startswith(system))


def measure(stage: Stage, work: Any) -> Cost:
    before = http_calls(stage.sandbox)
    with counted_statements() as statements:
        work()
    return Cost(difference(before, http_calls(stage.sandbox)), statements.count)


def say(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Print past pytest's own capture: `script/cost` reads these lines."""
    with capsys.disabled():
        for line in lines:
            print(f"cost | {connection.vendor} | {line}")


def pay_all(stage: Stage, count: int) -> Cost:
    """Approve new loans, and take them from the poll to the verified record; letters included."""
    _approve(stage, count)

    def work() -> None:
        # All letters between the passes: the first pays and the second records, whoever is fast.
        stage.sandbox.options(hold_callbacks=True)
        stage.sync()
        stage.sandbox.options(hold_callbacks=False)
        stage.sandbox.release_callbacks()
        stage.settle()
        stage.sync()

    cost = measure(stage, work)
    assert LoanTracking.objects.exclude(status="disbursed").count() == 0, stage.told()
    return cost


def test_a_paid_loan_costs_seven_calls_and_a_bounded_number_of_statements(
    open_stage: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = open_stage(small_world(payable=1, kinds=()))
    stage.ask_nothing_yet()
    stage.sync(2)  # the first pass gets the token and learns which Mifos X this is
    few, many = pay_all(stage, FEW), pay_all(stage, MANY)

    loans = MANY - FEW
    mifos = (many.of("mifos") - few.of("mifos")) / loans
    mpesa = (many.of("mpesa") - few.of("mpesa")) / loans
    statements = (many.statements - few.statements) / loans
    say(
        capsys,
        f"one paid loan, calls to Mifos X | {mifos:.1f}",
        f"one paid loan, calls to M-Pesa | {mpesa:.1f}",
        f"one paid loan, statements | {statements:.1f}",
    )
    assert mifos <= MIFOS_CALLS_PER_PAID_LOAN
    assert mpesa <= MPESA_CALLS_PER_PAID_LOAN
    assert statements <= STATEMENTS_PER_PAID_LOAN


def _approve(stage: Stage, count: int) -> None:
    """Approve loans of new clients, and top the float up for them."""
    first = 9000 + 100 * count
    clients = [
        {"name": f"Client {n}", "mobile_no": f"0733{n:06d}", "id": n}
        for n in range(first, first + count)
    ]
    stage.sandbox.add_clients(stage.tenant, clients)
    stage.sandbox.add_loans(
        stage.tenant,
        [{"id": n, "client_id": n, "product_id": 5} for n in range(first, first + count)],
    )
    stage.sandbox.top_up(stage.shortcode, 30_000 * count)


@pytest.fixture
def known(open_stage: Open) -> Stage:
    """A lender whose loans are known and wait: payouts are switched off."""
    stage = open_stage(small_world(payable=1, kinds=()), mifos_auto_disbursement_enabled=False)
    run_fetch(triggered_by=TriggeredBy.SCHEDULE)
    return stage


def grow_to(stage: Stage, count: int) -> None:
    first = LoanTracking.objects.count()
    clients = [
        {"name": f"Client {n}", "mobile_no": f"0733{n:06d}", "id": 8000 + n}
        for n in range(first, count)
    ]
    stage.sandbox.add_clients(stage.tenant, clients)
    stage.sandbox.add_loans(
        stage.tenant,
        [{"id": 9000 + n, "client_id": 8000 + n, "product_id": 5} for n in range(first, count)],
    )
    run_fetch(triggered_by=TriggeredBy.SCHEDULE)
    run_process(triggered_by=TriggeredBy.SCHEDULE)
    assert LoanTracking.objects.count() == count


def test_a_loan_that_is_known_costs_nothing_in_a_poll_but_its_place_on_a_page(
    known: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def poll() -> None:
        run_fetch(triggered_by=TriggeredBy.SCHEDULE)

    costs: dict[int, Cost] = {}
    for count in (KNOWN_FEW, KNOWN_MANY):
        grow_to(known, count)
        costs[count] = measure(known, poll)
        pages = -(-count // 200)
        say(
            capsys,
            f"a poll of {count} known loans, list pages | {pages}",
            f"a poll of {count} known loans, calls | {sum(costs[count].calls.values())}",
            f"a poll of {count} known loans, statements | {costs[count].statements}",
        )
    few, many = costs[KNOWN_FEW], costs[KNOWN_MANY]
    more_pages = -(-KNOWN_MANY // 200) - -(-KNOWN_FEW // 200)
    assert set(many.calls) == {"mifos loans_list"}
    assert sum(many.calls.values()) - sum(few.calls.values()) <= more_pages
    assert many.statements - few.statements <= 2 * more_pages


def test_a_loan_that_waits_costs_nothing_in_a_pass(
    known: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def process() -> None:
        run_process(triggered_by=TriggeredBy.SCHEDULE)

    costs: dict[int, Cost] = {}
    for count in (KNOWN_FEW, KNOWN_MANY):
        grow_to(known, count)
        costs[count] = measure(known, process)
        say(
            capsys,
            f"a pass over {count} waiting loans, calls | {sum(costs[count].calls.values())}",
            f"a pass over {count} waiting loans, statements | {costs[count].statements}",
        )
    assert costs[KNOWN_MANY].calls == {}
    assert costs[KNOWN_MANY].statements == costs[KNOWN_FEW].statements


def test_a_new_loan_costs_its_client_and_a_share_of_a_page(
    known: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    few = measure(known, lambda: grow_to(known, 1 + FEW))
    many = measure(known, lambda: grow_to(known, 1 + FEW + MANY))

    more = MANY - FEW
    calls = (sum(many.calls.values()) - sum(few.calls.values())) / more
    statements = (many.statements - few.statements) / more
    say(
        capsys,
        f"one new loan found, calls | {calls:.1f}",
        f"one new loan found, statements | {max(statements, 0):.1f}",
    )
    assert calls <= 1
    assert statements <= 1
