"""The float on the summary strip: what the accounts hold, what waits for it, and where it leads."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.pages.listing import Card
from disbursements.tests.making import make_loan, make_partner
from mpesa.models import Shortcode
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("jane.o"))
    return client


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", mpesa_shortcode="600100")


def holds(balance: int | None, *, code: str = "600100") -> None:
    at = None if balance is None else timezone.now() - timedelta(minutes=4)
    Shortcode.objects.create(
        environment="sandbox", shortcode=code, utility_balance=balance, utility_balance_at=at
    )


def card(desk: Client, query: str = "") -> Card:
    found: Card = desk.get(f"/loan-tracking{query}").context["cards"][-1]
    return found


def test_a_balance_that_covers_the_queue_says_so_and_when_it_was_read(desk: Client, umoja: Partner):
    holds(50_000)
    make_loan(umoja, loan_amount=Decimal(20_200))

    found = card(desk)

    assert (found.count, found.money) == ("KSh 50,000", "covers the queue")
    assert found.oldest.startswith("read ")


def test_a_balance_below_the_queue_says_by_how_much(desk: Client, umoja: Partner):
    holds(5_000)
    make_loan(umoja, loan_amount=Decimal(20_000), net_disbursal_amount=Decimal(19_800))

    assert card(desk).money == "short by KSh 14,800"


def test_a_balance_nobody_has_read_is_unknown_and_not_nought(desk: Client, umoja: Partner):
    holds(None)

    assert (card(desk).count, card(desk).money) == ("unknown", "no balance read yet")


def test_several_accounts_are_added_once_each_and_promise_nothing(desk: Client, umoja: Partner):
    make_partner(mpesa_shortcode="600100", mifos_tenant_id="twin")  # shares the account
    make_partner(mpesa_shortcode="600200", slug="tumaini")
    holds(5_000)
    holds(7_000, code="600200")

    assert (card(desk).count, card(desk).money) == ("KSh 12,000", "in 2 accounts")
    assert card(desk, "?partner=tumaini").count == "KSh 7,000"


def test_the_card_leads_to_the_very_loans_that_wait_for_float(desk: Client, umoja: Partner):
    holds(900)
    waits = make_loan(umoja, hold_reason="float_short", loan_amount=Decimal(8_000))
    make_loan(umoja)

    found = card(desk)
    rows = desk.get(f"/loan-tracking{found.url}").context["rows"]

    assert found.money == "1 waits, KSh 8,000"
    assert [row.id for row, _ in rows] == [waits.pk]


def test_no_loan_that_waits_for_float_is_good_news(desk: Client, umoja: Partner):
    make_loan(umoja)

    assert (
        "No loan waits for float." in desk.get("/loan-tracking?status=float_short").content.decode()
    )
