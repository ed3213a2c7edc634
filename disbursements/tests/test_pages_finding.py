"""Finding loans: several statuses, qualifiers, saved views, pages back, and the workbook."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.models import AttemptStatus, SavedView
from disbursements.pages import sheet
from disbursements.pages.exporting import HEADINGS
from disbursements.pages.paging import SORTS, read_page
from disbursements.pages.searching import parse
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.test_pages_actions import make_user
from loans.models import LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db
SPREADSHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_user("jane.o"))
    return client


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", name="Umoja Sacco")


def shown(desk: Client, query: str) -> set[int]:
    answer = desk.get(f"/loan-tracking{query}")
    assert answer.status_code == 200
    return {row.id for row, _ in answer.context["rows"]}


@pytest.mark.parametrize("query", ["?status=failed&status=cancelled", "?status=cancelled,failed"])
def test_several_statuses_are_shown_together(desk: Client, umoja: Partner, query: str):
    wanted = {make_loan(umoja, status=status).pk for status in ("failed", "cancelled")}
    make_loan(umoja)

    assert shown(desk, query) == wanted
    chips = desk.get(f"/loan-tracking{query}").context["chips"]
    assert {chip.text: chip.url for chip in chips} == {
        "Status: Failed": "?status=cancelled",
        "Status: Cancelled": "?status=failed",
    }


def test_qualifiers_and_words_are_taken_apart():
    asked = parse('achieng phone:"0712 345 678" amount:>50,000 CODE:1 amount:much mary')

    assert asked.words == "achieng mary"
    assert asked.qualifiers == [("phone", "0712 345 678"), ("amount", ">50,000"), ("code", "1")]
    assert asked.ignored == ["search “amount:much”"]


@pytest.mark.parametrize(
    "text",
    [
        "partner:umoja",
        "partner:sacco amount:85000",
        "product:biashara code:1",
        "product:7",
        "amount:>50000",
        "amount:>=85000",
        "amount:<90,000 amount:>80000",
        "code:1",
        "grace code:1",
    ],
)
def test_qualifiers_narrow_the_list(desk: Client, umoja: Partner, text: str):
    loan = make_loan(
        umoja,
        status="failed",
        product_id=7,
        product_name="Biashara",
        client_name="Wanjiru Grace",
        loan_amount=Decimal(85_000),
    )
    make_attempt(loan, status=AttemptStatus.FAILED, result_code="1")
    make_loan(product_id=8, product_name="Emergency", loan_amount=Decimal(100))
    make_loan(product_id=8, product_name="Emergency", loan_amount=Decimal(95), client_name="Grace")
    if text.startswith("amount:<"):
        make_loan(product_id=8, loan_amount=Decimal(95_000))

    answer = desk.get("/loan-tracking", {"q": text})

    assert {row.id for row, _ in answer.context["rows"]} == {loan.pk}


@pytest.mark.parametrize("text", ["loan:10482", "phone:0712345678", "receipt:sgh7k2m9qd"])
def test_a_qualified_exact_hit_opens_the_loan(desk: Client, umoja: Partner, text: str):
    loan = make_loan(
        umoja,
        loan_id=10482,
        phone_number="254712345678",
        status="disbursed",
        mpesa_receipt_number="SGH7K2M9QD",
    )
    make_loan(umoja, client_id=10482)

    answer = desk.get("/loan-tracking", {"q": text})

    assert answer["Location"] == f"/loan-tracking/{loan.pk}"


def test_an_amount_that_is_none_is_named(desk: Client, umoja: Partner):
    make_loan(umoja)

    html = desk.get("/loan-tracking", {"q": "amount:lots"}).content.decode()

    assert "Not understood: search “amount:lots”" in html


@pytest.mark.parametrize("sort", SORTS)
def test_going_back_shows_the_pages_again(umoja: Partner, sort: str):
    same = timezone.now() - timedelta(days=1)
    for number in range(4):
        make_loan(umoja, created_at=same, loan_amount=Decimal(100 * (number % 2 + 1)))
        make_loan(umoja, status="failed")
        make_loan(umoja, review_reason="books_differ", created_at=same)
    loans = LoanTracking.objects.all()
    pages = [read_page(loans, sort=sort, size=5)]
    while pages[-1].next:
        pages.append(read_page(loans, sort=sort, after=pages[-1].next, size=5))

    back = read_page(loans, sort=sort, before=pages[-1].previous, size=5)
    first = read_page(loans, sort=sort, before=back.previous, size=5)

    assert len(pages) == 3
    assert back.loans == pages[1].loans
    assert first.loans == pages[0].loans
    assert first.previous == ""
    assert read_page(loans, sort=sort, after=back.next, size=5).loans == pages[2].loans


def test_going_back_past_the_beginning_is_the_first_page(umoja: Partner):
    for _ in range(7):
        make_loan(umoja)
    loans = LoanTracking.objects.all()
    second = read_page(
        loans, sort="newest", after=read_page(loans, sort="newest", size=2).next, size=2
    )

    page = read_page(loans, sort="newest", before=second.previous, size=5)

    assert len(page.loans) == 5
    assert page.previous == ""


def test_a_view_is_kept_for_its_user_and_deleted(desk: Client, umoja: Partner):
    saved = {"name": "Umoja failed", "query": "?status=failed&partner=umoja"}
    desk.post("/loan-tracking/views", saved)
    view = SavedView.objects.get()
    chosen = [
        one.name
        for one in desk.get("/loan-tracking?partner=umoja&status=failed").context["views"]
        if one.is_chosen
    ]
    other = Client()
    other.force_login(User.objects.create_superuser("root"))

    assert chosen == ["Umoja failed"]
    assert "Umoja failed" not in other.get("/loan-tracking").content.decode()
    assert other.post(f"/loan-tracking/views/{view.pk}/delete").status_code == 404
    desk.post(f"/loan-tracking/views/{view.pk}/delete")
    assert not SavedView.objects.exists()


def test_the_same_name_again_replaces_the_view(desk: Client):
    for status in ("failed", "pending"):
        desk.post("/loan-tracking/views", {"name": "Mine", "query": f"?status={status}"})

    assert SavedView.objects.get().query == "?status=pending"


@pytest.mark.parametrize(
    ("name", "query", "told"),
    [
        ("", "?status=failed", "Give the view a name"),
        ("All", "", "there is nothing to save"),
        ("Bad", "?status=nonsense&x=<script>", "there is nothing to save"),
    ],
)
def test_a_view_that_makes_no_sense_is_not_kept(desk: Client, name: str, query: str, told: str):
    answer = desk.post("/loan-tracking/views", {"name": name, "query": query}, follow=True)

    assert told in answer.content.decode()
    assert not SavedView.objects.exists()


def test_views_have_a_limit(desk: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("disbursements.pages.saving.MOST_VIEWS", 1)
    desk.post("/loan-tracking/views", {"name": "One", "query": "?status=failed"})

    answer = desk.post(
        "/loan-tracking/views", {"name": "Two", "query": "?status=failed"}, follow=True
    )

    assert "At most 1 views are kept" in answer.content.decode()


def workbook(desk: Client, query: str = "") -> dict[str, list[list[tuple[str, str]]]]:
    """Return each sheet's rows; each cell is its type in the file and its text."""
    answer = desk.get(f"/loan-tracking/export.xlsx{query}")
    assert answer.status_code == 200
    book = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    names = [
        str(one.get("name"))
        for one in ElementTree.fromstring(book.read("xl/workbook.xml")).iter(f"{SPREADSHEET}sheet")
    ]
    return {
        name: _rows(book.read(f"xl/worksheets/sheet{number}.xml"))
        for number, name in enumerate(names, start=1)
    }


def _rows(xml: bytes) -> list[list[tuple[str, str]]]:
    root = ElementTree.fromstring(xml)
    assert not list(root.iter(f"{SPREADSHEET}f"))  # no cell is a formula
    return [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row]
        for row in root.iter(f"{SPREADSHEET}row")
    ]


def test_the_workbook_holds_exactly_the_filtered_rows(desk: Client, umoja: Partner):
    make_loan(
        umoja,
        loan_id=10482,
        client_id=77,
        client_name='=HYPERLINK("http://x")',
        phone_number="254712345678",
        status="failed",
    )
    make_loan(umoja, status="failed", loan_amount=Decimal("2500.50"))
    make_loan(umoja)

    sheets = workbook(desk, "?status=failed")

    assert list(sheets) == ["Loans", "About"]
    assert [text for _, text in sheets["Loans"][0]] == list(HEADINGS)
    assert len(sheets["Loans"]) == 3
    assert sheets["Loans"][2][:6] == [
        ("inlineStr", "10482"),
        ("inlineStr", "77"),
        ("inlineStr", '=HYPERLINK("http://x")'),
        ("inlineStr", "Umoja Sacco"),
        ("n", "12500.00"),
        ("inlineStr", "0712 ***678"),
    ]
    about = {row[0][1]: row[1][1] for row in sheets["About"]}
    assert about["Filters"] == "Status: Failed"
    assert about["Exported by"] == "jane.o"
    assert about["Exported at"].endswith(" EAT")
    assert (about["Loans"], about["Sum"]) == ("2", "KSh 15,000.50")


def test_the_workbook_and_the_csv_say_the_same(desk: Client, umoja: Partner):
    for _ in range(3):
        make_loan(umoja)
    lines = desk.get("/loan-tracking/export.csv?partner=umoja").getvalue().decode().splitlines()
    rows = workbook(desk, "?partner=umoja")["Loans"]

    assert [row[0][1] for row in rows] == [line.split(",")[0] for line in lines]
    assert [row[-1][1] for row in rows] == [line.split(",")[-1] for line in lines]


def test_a_workbook_with_too_many_rows_goes_on_in_the_next_sheet(
    desk: Client, umoja: Partner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sheet, "MOST_ROWS", 2)
    for _ in range(3):
        make_loan(umoja)

    sheets = workbook(desk)

    assert {name: len(rows) for name, rows in sheets.items()} == {
        "Loans": 3,
        "Loans 2": 2,
        "About": 6,
    }
