"""The charts: what each figure says is what the rows say."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.pages.figures import EDGES, Figure, percentile
from disbursements.pages.keeping import kept
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.statements import at_most
from disbursements.tests.test_pages_actions import make_user
from partners.models import Partner, PartnerMembership

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_user("jane.o"))
    return client


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", name="Umoja Sacco")


def figures(desk: Client, query: str = "") -> dict[str, Figure]:
    answer = desk.get(f"/charts{query}")
    assert answer.status_code == 200
    return {figure.key: figure for figure in answer.context["figures"]}


def texts(figure: Figure, row: int = -1) -> list[str]:
    return [cell.text for cell in figure.rows[row][1]]


def paid_loan(partner: Partner, **columns: Any) -> None:
    """A loan paid 50 seconds after it was found."""
    now = timezone.now()
    found = columns.pop("created_at", now - timedelta(minutes=2))
    loan = make_loan(partner, status="disbursed", created_at=found, **columns)
    make_attempt(
        loan,
        status=AttemptStatus.COMPLETED,
        created_at=now,
        paid_at=found + timedelta(seconds=50),
    )


def test_volume_and_money_are_counted_by_the_day_in_nairobi(desk: Client, umoja: Partner):
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    make_loan(umoja, status="disbursed", disbursed_at=midnight, loan_amount=Decimal(1000))
    make_loan(umoja, status="disbursed", disbursed_at=midnight - timedelta(seconds=1))
    make_loan(umoja, status="disbursed", disbursed_at=midnight - timedelta(days=40))
    make_loan(umoja, status="disbursed", disbursed_at=midnight, currency="USD")

    found = figures(desk)

    assert [texts(found["volume"], row) for row in (-2, -1)] == [["1"], ["2"]]
    assert [texts(found["value"], row) for row in (-2, -1)] == [["12,500"], ["1,000"]]
    assert found["volume"].said == "3 loans in 30 days, 2 of them today."
    assert len(found["volume"].rows) == 30


def test_the_share_that_paid_leaves_out_what_was_never_sent(desk: Client, umoja: Partner):
    for _ in range(3):
        paid_loan(umoja)
    make_attempt(make_loan(umoja, status="failed"), status=AttemptStatus.FAILED)
    make_loan(umoja, hold_reason="cents")
    make_attempt(make_loan(umoja, status="processing_disbursement"), status=AttemptStatus.UNKNOWN)

    found = figures(desk)["success"]

    assert texts(found) == ["75.0 %", "3", "4"]
    assert found.said == "75.0 % of 4 settled attempts paid."


def test_the_time_to_the_phone_is_told_at_its_middle_and_its_end(desk: Client, umoja: Partner):
    for _ in range(10):
        paid_loan(umoja)

    found = figures(desk)["time"]

    assert found.said.startswith("Half within 52 s")
    assert found.rows[-1][1][0].value == "52.5"


@pytest.mark.parametrize(
    ("below", "half"), [([0] * len(EDGES), None), ([], None), ([4] * len(EDGES), 5.0)]
)
def test_percentiles_are_read_between_the_edges(below: list[int], half: float | None):
    assert percentile(below, 0.5) == half


def test_the_backlog_is_sorted_by_age(desk: Client, umoja: Partner):
    now = timezone.now()
    for minutes in (1, 7, 20, 120, 3000, 3001):
        make_loan(umoja, created_at=now - timedelta(minutes=minutes), loan_amount=Decimal(100))
    make_loan(umoja, status="disbursed")

    found = figures(desk)["backlog"]

    assert [texts(found, row) for row in range(5)] == [
        ["1", "100"],
        ["1", "100"],
        ["1", "100"],
        ["1", "100"],
        ["2", "200"],
    ]
    assert found.said == "6 loans wait, the oldest for 2 d 2 h."


def test_causes_are_told_in_words_and_the_rare_ones_together(desk: Client, umoja: Partner):
    for number in range(12):
        loan = make_loan(umoja, status="failed", loan_amount=Decimal(100))
        code = ["1", "1", "1", "", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10"][number]
        make_attempt(loan, status=AttemptStatus.FAILED, result_code=code)

    found = figures(desk)["causes"]

    assert found.rows[0][0].startswith("1: ")
    assert texts(found, 0) == ["3", "300"]
    assert (found.rows[-1][0], texts(found)) == ("Other causes", ["2", "200"])
    assert "Refused before it was sent" in [label for label, _ in found.rows]


def test_one_partner_is_shown_alone(desk: Client, umoja: Partner):
    paid_loan(umoja)
    paid_loan(make_partner())

    assert texts(figures(desk)["volume"]) == ["2"]
    assert texts(figures(desk, "?partner=umoja&days=7")["volume"]) == ["1"]
    assert texts(figures(desk, "?partner=umoja&days=7")["success"])[1:] == ["1", "1"]
    assert len(figures(desk, "?days=7")["volume"].rows) == 7
    assert len(figures(desk, "?days=1000000")["volume"].rows) == 30


def test_charts_cost_the_same_for_one_loan_and_for_many(desk: Client, umoja: Partner):
    for _ in range(20):
        paid_loan(umoja)

    with at_most(10):
        answer = desk.get("/charts?days=90")

    assert len(answer.content) < 100_000


def test_an_empty_house_has_charts_too(desk: Client):
    html = desk.get("/charts").content.decode()

    assert "No attempt was settled." in html
    assert "Nothing was paid." in html
    assert "style=" not in html


def test_for_a_minute_the_figures_are_reckoned_once_for_all_who_see_the_same(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOANPOLL_FIGURES_SECONDS = 60
    cache.clear()
    everybody, bound = make_user("ann.k"), make_user("joe.o")
    PartnerMembership.objects.create(user=bound, partner=make_partner())
    asked = []

    for user in (everybody, everybody, bound, everybody):
        kept("budgets", user, lambda: asked.append(1) or len(asked))

    assert len(asked) == 2
    cache.clear()
