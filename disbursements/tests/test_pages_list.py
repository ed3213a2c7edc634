"""The list: who may see it, what it finds, what it counts, and what it costs."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.pages.paging import SORTS, read_page
from disbursements.tests.making import (
    make_attempt,
    make_event,
    make_loan,
    make_partner,
    make_product,
)
from disbursements.tests.statements import at_most
from loans.models import LoanTracking
from mpesa.models import MpesaRequest, RequestKind, Shortcode
from partners.models import Partner, PayoutSwitch

pytestmark = pytest.mark.django_db

# Bound partners, switch, shortcodes, partners, three tiers, totals, attempts, views, products.
STATEMENTS = 11
MOST_BYTES = 100_000


@pytest.fixture
def viewer() -> User:
    user = User.objects.create_user("jane.o", password="a-good-long-password", is_staff=True)
    names = ["view_loantracking", "view_partner"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


@pytest.fixture
def desk(client: Client, viewer: User) -> Client:
    client.force_login(viewer)
    return client


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", name="Umoja Sacco")


def page(desk: Client, query: str = "") -> str:
    answer = desk.get(f"/loan-tracking{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def shown(desk: Client, query: str = "") -> list[int]:
    answer = desk.get(f"/loan-tracking{query}")
    assert answer.status_code == 200
    return [row.id for row, _ in answer.context["rows"]]


@pytest.mark.parametrize(
    "address", ["/loan-tracking", "/loan-tracking/", "/partners", "/partners/", "/loan-tracking/1"]
)
def test_a_stranger_is_asked_to_sign_in(client: Client, address: str):
    answer = client.get(address)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")


def test_a_user_who_is_not_staff_is_asked_to_sign_in(client: Client):
    client.force_login(User.objects.create_user("root", is_superuser=True))

    assert client.get("/loan-tracking").status_code == 302


@pytest.mark.parametrize(
    "address",
    ["/loan-tracking", "/loan-tracking/changes", "/loan-tracking/export.csv", "/partners"],
)
def test_staff_without_the_right_are_refused(client: Client, address: str):
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    answer = client.get(address)

    assert answer.status_code == 403
    assert b"You may not see this page" in answer.content


def test_signing_in_leads_back_to_the_page(client: Client, viewer: User):
    answer = client.post(
        "/accounts/login/",
        {"username": "jane.o", "password": "a-good-long-password", "next": "/partners"},
    )

    assert answer["Location"] == "/partners"


def test_a_wrong_password_is_told_in_words(client: Client, viewer: User):
    answer = client.post("/accounts/login/", {"username": "jane.o", "password": "no"})

    assert b"Please enter the correct username and password" in answer.content


def test_pages_forbid_every_foreign_and_inline_script(desk: Client):
    answer = desk.get("/loan-tracking")
    html = answer.content.decode()

    policy = answer["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy)
    assert "style=" not in html
    assert "onclick=" not in html
    assert html.count("<script") == html.count("<script src=")


def test_the_list_costs_the_same_for_two_loans_and_for_sixty(desk: Client, umoja: Partner):
    make_product(umoja)
    for _ in range(2):
        make_attempt(make_loan(umoja, status="processing_disbursement"))
    with at_most(STATEMENTS):
        desk.get("/loan-tracking")
    for _ in range(30):
        make_attempt(make_loan(umoja, status="processing_disbursement"))
        make_loan(umoja, status="failed", review_reason="outcome_unknown")

    with at_most(STATEMENTS - 1):  # two tiers fill the page
        answer = desk.get("/loan-tracking")

    assert len(answer.context["rows"]) == 50
    assert len(answer.content) < MOST_BYTES


def test_cards_count_exactly_what_their_link_shows(desk: Client, umoja: Partner):
    other = make_partner()
    yesterday = timezone.now() - timedelta(days=1, hours=1)
    make_loan(umoja, review_reason="outcome_unknown", status="processing_disbursement")
    make_loan(umoja, loan_amount=Decimal(800))
    make_loan(umoja, hold_reason="needs_approval", loan_amount=Decimal(200))
    make_loan(umoja, hold_reason="foreign_currency", currency="USD")
    make_loan(umoja, status="failed")
    make_loan(umoja, status="disbursed")
    make_loan(umoja, status="disbursed", disbursed_at=yesterday)
    make_loan(umoja, status="cancelled")
    make_loan(other)

    cards = desk.get("/loan-tracking?partner=umoja").context["cards"]

    assert {card.key: card.count for card in cards} == {
        "needs_review": "1",
        "pending": "3",
        "processing": "1",
        "failed": "1",
        "disbursed_today": "1",
        "float": "unknown",
    }
    assert cards[1].money == "KSh 1,000"  # dollars are not added to shillings
    for card in cards[:-1]:
        assert len(shown(desk, card.url)) == int(card.count)


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("pending", {}),
        ("pending_disbursement", {}),
        ("processing_disbursement", {"status": "processing_disbursement"}),
        ("disbursed", {"status": "disbursed"}),
        ("failed", {"status": "failed"}),
        ("cancelled", {"status": "cancelled"}),
        ("needs_review", {"review_reason": "books_differ", "status": "cancelled"}),
        ("needs_approval", {"hold_reason": "needs_approval"}),
        ("float_short", {"hold_reason": "float_short"}),
    ],
)
def test_status_words_of_the_guide_and_of_the_staff_filter(
    desk: Client, umoja: Partner, word: str, others: dict[str, str]
):
    wanted = make_loan(umoja, **others)
    for status in ("processing_disbursement", "disbursed", "failed", "pending_disbursement"):
        if status != wanted.status:
            make_loan(umoja, status=status)

    assert shown(desk, f"?status={word}") == [wanted.pk]


def test_a_filter_that_is_not_understood_is_named(desk: Client, umoja: Partner):
    loan = make_loan(umoja)

    assert shown(desk, "?status=paied&from=soon") == [loan.pk]
    html = page(desk, "?status=paied&from=soon")
    assert "Not understood: status “paied”" in html
    assert "Not understood: date “soon”" in html


def test_dates_are_days_in_nairobi(desk: Client, umoja: Partner):
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    today = make_loan(umoja, created_at=midnight)
    yesterday = make_loan(umoja, created_at=midnight - timedelta(seconds=1))
    day = f"{midnight - timedelta(days=1):%Y-%m-%d}"

    assert shown(desk, "?when=today") == [today.pk]
    assert shown(desk, "?when=yesterday") == [yesterday.pk]
    assert shown(desk, "?when=7days&sort=newest") == [today.pk, yesterday.pk]
    assert shown(desk, f"?when=custom&from={day}&to={day}") == [yesterday.pk]


def test_products_are_told_apart_by_partner(desk: Client, umoja: Partner):
    other = make_partner()
    make_product(umoja, product_id=7)
    make_product(other, product_id=7)
    wanted = make_loan(umoja, product_id=7)
    make_loan(other, product_id=7)
    make_loan(umoja, product_id=8)

    assert shown(desk, "?product=umoja:7") == [wanted.pk]


def test_each_chip_takes_away_its_own_filter_only(desk: Client, umoja: Partner):
    answer = desk.get("/loan-tracking?status=failed&partner=umoja&sort=newest")

    assert {chip.text: chip.url for chip in answer.context["chips"]} == {
        "Status: Failed": "?partner=umoja&sort=newest",
        "Partner: Umoja Sacco": "?status=failed&sort=newest",
    }


@pytest.mark.parametrize(
    "text",
    ["0712 345 678", "+254712345678", "254712345678", "712345678", "10482", "000010482"],
)
def test_one_exact_hit_opens_the_loan(desk: Client, umoja: Partner, text: str):
    loan = make_loan(umoja, loan_id=10482, account_number="000010482", phone_number="254712345678")
    make_loan(umoja)

    answer = desk.get("/loan-tracking", {"q": text})

    assert answer["Location"] == f"/loan-tracking/{loan.pk}"


@pytest.mark.parametrize("text", ["LP-abc", "AG_20261123_7", "AG_20261123_8", "sgh7k2m9qd"])
def test_ids_of_mpesa_open_the_loan(desk: Client, umoja: Partner, text: str):
    loan = make_loan(umoja, status="processing_disbursement")
    make_attempt(
        loan,
        status=AttemptStatus.PAID,
        transaction_receipt="SGH7K2M9QD",
        originator_conversation_id="LP-abc",
        conversation_id="AG_20261123_7",
    )
    # A second send, or a status query, has a conversation id of its own.
    MpesaRequest.objects.create(
        kind=RequestKind.STATUS,
        environment="sandbox",
        shortcode="600000",
        originator_conversation_id="LP-abc",
        conversation_id="AG_20261123_8",
        token_digest="x",
        sent_at=timezone.now(),
    )

    assert desk.get("/loan-tracking", {"q": text})["Location"] == f"/loan-tracking/{loan.pk}"


def test_several_exact_hits_and_names_are_listed(desk: Client, umoja: Partner):
    first = make_loan(umoja, phone_number="254712345678", client_name="Achieng Mary")
    second = make_loan(umoja, phone_number="254712345678", client_name="Mary Achieng Otieno")
    make_loan(umoja, client_name="Mary Wanjiru")

    assert set(shown(desk, "?q=0712345678")) == {first.pk, second.pk}
    assert set(shown(desk, "?q=mary+achieng")) == {first.pk, second.pk}
    assert shown(desk, "?q=99999999999999999999999") == []


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_pages_by_key_show_every_loan_once_and_in_order(umoja: Partner, sort: str):
    same = timezone.now()
    for number in range(4):
        make_loan(umoja, created_at=same, loan_amount=Decimal(5_000))
        make_loan(umoja, status="failed", loan_amount=Decimal(900 + number))
        make_loan(umoja, status="disbursed", created_at=same)
        make_loan(umoja, review_reason="books_differ", created_at=same)
    loans = LoanTracking.objects.all()
    whole = [loan.pk for loan in read_page(loans, sort=sort, after="", size=100).loans]

    walked: list[int] = []
    after = ""
    while not walked or after:
        page = read_page(loans, sort=sort, after=after, size=3)
        walked += [loan.pk for loan in page.loans]
        after = page.next

    assert walked == whole
    assert len(set(walked)) == 16


def test_the_list_begins_with_what_needs_a_person(desk: Client, umoja: Partner):
    now = timezone.now()
    done = make_loan(umoja, status="disbursed", created_at=now)
    young = make_loan(umoja, created_at=now - timedelta(minutes=1))
    old = make_loan(umoja, created_at=now - timedelta(hours=1))
    review = make_loan(umoja, status="disbursed", review_reason="books_differ")

    assert shown(desk) == [review.pk, old.pk, young.pk, done.pk]


@pytest.mark.parametrize("after", ["x", "W10", "WzksMV0", "WzAsImEiLCJiIl0", "[" * 200])
def test_a_broken_page_key_is_the_first_page(desk: Client, umoja: Partner, after: str):
    loan = make_loan(umoja)

    assert [row.id for row, _ in desk.get("/loan-tracking", {"after": after}).context["rows"]] == [
        loan.pk
    ]


def test_only_changed_rows_come_back(desk: Client, umoja: Partner):
    still, moving = make_loan(umoja), make_loan(umoja)
    since = desk.get("/loan-tracking").context["since"]
    LoanTracking.objects.filter(pk=moving.pk).update(hold_reason="cents")  # and no updated_at

    with at_most(STATEMENTS - 2):
        news = desk.get("/loan-tracking/changes", {"since": since}).json()

    assert list(news["rows"]) == [str(moving.pk)]
    assert "The amount has cents" in news["rows"][str(moving.pk)]
    assert news["moved"] is False
    assert str(still.pk) not in news["rows"]
    assert news["updated"].endswith(" EAT")


def test_a_new_loan_is_announced_and_not_pushed_in(desk: Client, umoja: Partner):
    make_loan(umoja)
    since = desk.get("/loan-tracking").context["since"]
    make_loan(umoja)

    news = desk.get("/loan-tracking/changes", {"since": since}).json()

    assert (news["rows"], news["moved"]) == ({}, True)


def test_a_signed_out_browser_is_told_so_in_json(client: Client):
    answer = client.get("/loan-tracking/changes", headers={"Accept": "application/json"})

    assert answer.status_code == 401
    assert json.loads(answer.content)["error"]


def test_names_from_outside_are_escaped(desk: Client, umoja: Partner):
    make_loan(umoja, client_name="<script>alert(1)</script>")

    html = page(desk)

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_troubles_of_a_partner_are_said_before_anything_else(desk: Client):
    now = timezone.now()
    make_partner(name="Slow", last_poll_succeeded_at=now - timedelta(minutes=17))
    make_partner(
        name="Shut",
        last_error="Mifos X refused our password.",
        last_error_at=now,
        last_poll_succeeded_at=now - timedelta(minutes=5),
    )
    make_partner(name="Rest", is_paused=True, paused_by="P. Njoroge", pause_reason="audit")
    make_partner(name="Code", mpesa_shortcode="600009")
    Shortcode.objects.create(
        environment="sandbox", shortcode="600009", breaker_opened_at=now, breaker_cause="2001."
    )

    said = [banner.text for banner in desk.get("/loan-tracking").context["banners"]]

    assert any("Slow has not been polled for 17 min (expected every 5 min)" in it for it in said)
    assert any("Shut could not be read" in it and "refused our password" in it for it in said)
    assert any("Rest: payouts are paused by P. Njoroge: audit." in it for it in said)
    assert any("Code: payouts stopped" in it and "2001." in it for it in said)


def test_a_list_that_was_read_but_for_a_loan_is_not_called_unread(desk: Client):
    make_partner(name="Odd", last_error="1 loan cannot be read.", last_error_at=timezone.now())

    said = [banner.text for banner in desk.get("/loan-tracking").context["banners"]]

    assert "Odd: 1 loan cannot be read." in said


def test_a_pause_of_everything_is_the_reason_every_loan_waits(desk: Client, umoja: Partner):
    PayoutSwitch.objects.create(pk=1, is_paused=True, paused_by="J. Otieno", pause_reason="audit")
    make_loan(umoja)

    assert page(desk).count("All payouts are paused by J. Otieno: audit.") == 2


@pytest.mark.parametrize(
    ("environments", "word"),
    [
        (["sandbox"], "SANDBOX"),
        (["production"], "LIVE"),
        (["sandbox", "production"], "LIVE and SANDBOX"),
    ],
)
def test_the_page_says_whether_real_money_moves(desk: Client, environments: list[str], word: str):
    for environment in environments:
        make_partner(mpesa_environment=environment)

    html = page(desk)

    assert f">{word}<" in html
    assert (f"<title>[{word}]" in html) == (word != "LIVE")


def test_empty_lists_say_why(desk: Client):
    assert "No lenders are connected yet." in page(desk)
    partner = make_partner(last_polled_at=None, last_poll_succeeded_at=None)
    assert "not polled yet" in page(desk)
    Partner.objects.filter(pk=partner.pk).update(last_poll_succeeded_at=timezone.now())
    assert "No loans have come from Mifos X yet." in page(desk)
    assert "Nothing needs you." in page(desk, "?status=needs_review")
    assert "No loans match." in page(desk, "?status=failed")


def test_the_export_is_the_filtered_list_under_the_originals_headings(desk: Client, umoja: Partner):
    loan = make_loan(
        umoja,
        loan_id=10482,
        client_id=77,
        client_name='=HYPERLINK("http://x")',
        phone_number="254712345678",
        status="failed",
    )
    make_loan(umoja)

    answer = desk.get("/loan-tracking/export.csv?status=failed&partner=umoja")
    rows = list(csv.reader(answer.getvalue().decode().splitlines()))

    assert ",".join(rows[0]) == (
        "Loan ID,Client ID,Client Name,Partner,Amount (KES),Phone Number,Status,"
        "Disbursement Status,M-Pesa Receipt,Created Date,Updated Date"
    )
    assert rows[1][:9] == [
        "10482",
        "77",
        '\'=HYPERLINK("http://x")',
        "Umoja Sacco",
        "12500.00",
        "0712 ***678",
        "failed",
        "",
        "",
    ]
    assert rows[1][9] == timezone.localtime(loan.created_at).isoformat(timespec="seconds")
    assert rows[1][9].endswith("+03:00")
    assert len(rows) == 2
    assert "umoja" in answer["Content-Disposition"]


def test_the_export_shows_whole_numbers_to_those_who_may(client: Client, umoja: Partner):
    client.force_login(User.objects.create_superuser("root"))
    make_loan(umoja, phone_number="254712345678")

    assert b"0712 345 678" in client.get("/loan-tracking/export.csv").getvalue()


def test_partners_say_how_they_stand(desk: Client, umoja: Partner):
    Shortcode.objects.create(
        environment="sandbox",
        shortcode=umoja.mpesa_shortcode,
        utility_balance=Decimal(10_000),
        utility_balance_at=timezone.now(),
    )
    make_loan(umoja)
    for _ in range(5):
        make_partner()

    with at_most(8):
        answer = desk.get("/partners")
    card = next(one for one in answer.context["cards"] if one.slug == "umoja")

    assert (card.state, card.queue) == ("Up", "1 loan, KSh 12,500")
    assert card.covers.startswith("short by KSh 2,500")
    assert b"a-mifos-password" not in answer.content


@pytest.mark.parametrize(
    ("minutes", "state"), [(None, "New"), (5, "Up"), (7, "Late"), (15, "Late"), (17, "Down")]
)
def test_a_partner_grows_late_and_then_down(desk: Client, minutes: int | None, state: str):
    at = None if minutes is None else timezone.now() - timedelta(minutes=minutes)
    make_partner(last_poll_succeeded_at=at)

    assert desk.get("/partners").context["cards"][0].state == state


def test_addresses_have_names():
    assert reverse("loans") == "/loan-tracking"
    assert reverse("loan", args=[7]) == "/loan-tracking/7"


def test_events_of_other_loans_do_not_matter(desk: Client, umoja: Partner):
    make_event(make_loan(umoja), reason="A stranger's story")

    assert "A stranger's story" not in page(desk, f"/{make_loan(umoja).pk}")


def test_an_amount_of_another_currency_is_not_exported_as_shillings(desk: Client, umoja: Partner):
    make_loan(umoja, currency="USD", net_disbursal_amount=Decimal(500))

    [_, row] = desk.get("/loan-tracking/export.csv").getvalue().decode().splitlines()

    assert f"{umoja.name},USD 500.00," in row


def test_a_filter_that_the_list_does_not_know_is_named(desk: Client):
    assert "Not understood: “age”" in desk.get("/loan-tracking?age=gt:10m").content.decode()
