"""What people do at the desk, in a real browser: approve, be refused, settle, export, keys only."""

from __future__ import annotations

import csv
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanApproval, LoanStatus, LoanTracking
from tests.browser.hands import Desk, find, tab_to

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DRAWN = """() => {
  const canvas = document.querySelector("[data-table=t-volume] canvas");
  const drawing = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return drawing.data.some(Boolean);
}"""


@pytest.fixture
def waiting(people: dict[str, User]) -> LoanTracking:
    """A loan above the threshold, for whose approval jane.o has asked."""
    loan = make_loan(
        make_partner(slug="umoja", name="Umoja Sacco"),
        client_name="Achieng Mary",
        phone_number="254712345678",
        hold_reason="needs_approval",
        loan_amount=Decimal(85_000),
    )
    LoanApproval.objects.create(
        loan_tracking=loan,
        amount=Decimal(85_000),
        phone_number=loan.phone_number,
        requested_by="jane.o",
        requested_at=timezone.now(),
    )
    return loan


@pytest.fixture
def unknown(people: dict[str, User]) -> LoanTracking:
    loan = make_loan(
        make_partner(slug="umoja", name="Umoja Sacco"),
        status=LoanStatus.PROCESSING,
        review_reason="outcome_unknown",
        phone_number="254712345678",
    )
    make_attempt(loan, status=AttemptStatus.UNKNOWN)
    return loan


def test_the_first_person_is_refused_and_a_second_approves(desk_of: Desk, waiting: LoanTracking):
    jane = desk_of("jane.o")
    find(jane, "0712 345 678")
    expect(jane.get_by_role("link", name="Approve…")).to_have_count(0)
    jane.goto(f"/loan-tracking/{waiting.pk}/approve")
    expect(jane.get_by_text("you asked for it; another person must approve it.")).to_be_visible()

    peter = desk_of("peter.n")
    find(peter, "+254712345678")
    peter.get_by_role("link", name="Approve…").click()
    expect(peter.get_by_role("link", name="Cancel")).to_be_focused()
    expect(peter.locator(".ask")).to_contain_text("0712 ***678")
    peter.get_by_label("Reason").fill("Agreed with the branch")
    peter.get_by_role("button", name="Approve KSh 85,000").click()

    expect(peter.get_by_role("status").filter(has_text="Approved KSh 85,000")).to_be_visible()
    expect(peter.locator(".story")).to_contain_text("Agreed with the branch")
    assert LoanApproval.objects.get().decided_by == User.objects.get(username="peter.n")


def test_two_people_settle_an_unknown_outcome(desk_of: Desk, unknown: LoanTracking):
    jane, peter = desk_of("jane.o"), desk_of("peter.n")
    find(jane, "0712345678")
    jane.get_by_role("link", name="Settle by hand…").click()
    jane.get_by_label("paid", exact=True).check()
    jane.get_by_label("M-Pesa receipt").fill("SGH7K2M9QD")
    jane.get_by_label("Reason").fill("Line 12 of the statement")
    jane.get_by_role("button", name="Propose the outcome of KSh 12,500").click()
    expect(jane.get_by_text("Nothing moves until another person confirms it.")).to_be_visible()
    expect(jane.get_by_role("link", name="Confirm the outcome…")).to_have_count(0)

    find(peter, "0712345678")
    expect(peter.locator(".state")).to_contain_text("jane.o proposed: paid, receipt SGH7K2M9QD.")
    peter.get_by_role("link", name="Confirm the outcome…").click()
    peter.get_by_label("Reason").fill("Same line, seen by me")
    peter.get_by_role("button", name="Confirm: KSh 12,500 was paid").click()

    expect(peter.get_by_text("Settled as paid.")).to_be_visible()
    assert unknown.attempts.get().transaction_receipt == "SGH7K2M9QD"


def test_a_double_press_holds_once(desk_of: Desk, waiting: LoanTracking):
    page = desk_of("peter.n")
    page.goto(f"/loan-tracking/{waiting.pk}/hold")
    page.get_by_label("Reason").fill("Audit")

    page.get_by_role("button", name="Hold KSh 85,000").dblclick()

    expect(page.locator("h1")).to_contain_text(f"Loan {waiting.loan_id}")
    assert waiting.events.filter(reason__startswith="Held by peter.n").count() == 1


def test_many_loans_are_held_and_each_says_what_came_of_it(desk_of: Desk, people: dict[str, User]):
    partner = make_partner(slug="umoja")
    for _ in range(3):
        make_loan(partner)
    make_loan(partner, status=LoanStatus.FAILED)
    page = desk_of("jane.o")
    expect(page.locator("#bulk")).to_be_hidden()

    page.get_by_label("Select all loans on this page").check()
    expect(page.locator("#bulk-said")).to_have_text("4 selected, KSh 50,000")
    page.get_by_role("button", name="Hold…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hold 3 of 4 loans")
    page.get_by_label("Reason").fill("Audit")
    page.get_by_role("button", name="Hold 3 loans, KSh 37,500").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Hold: 3 of 3 done")


def test_a_selection_outlives_the_live_refresh(desk_of: Desk, people: dict[str, User]):
    loan = make_loan(make_partner(slug="umoja"))
    page = desk_of("jane.o")
    box = page.get_by_role("checkbox", name=f"Select loan {loan.loan_id}")
    box.check()
    LoanTracking.objects.filter(pk=loan.pk).update(hold_reason="cents")

    page.keyboard.press("r")
    page.keyboard.press("r")

    expect(page.locator(f"#loan-{loan.pk}")).to_contain_text("The amount has cents")
    expect(box).to_be_checked()
    expect(box).to_be_focused()


def test_what_is_exported_opens_and_is_what_is_shown(
    desk_of: Desk, people: dict[str, User], tmp_path: Path
):
    partner = make_partner(slug="umoja")
    make_loan(partner, status=LoanStatus.FAILED, client_name="=1+1", phone_number="254712345678")
    make_loan(partner)
    page = desk_of("jane.o")
    page.goto("/loan-tracking?status=failed")

    files = {}
    for kind in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Export {kind}").click()
        assert download.value.suggested_filename.endswith(f"_EAT.{kind.lower()}")
        files[kind] = tmp_path / kind
        download.value.save_as(files[kind])

    rows = list(csv.reader(files["CSV"].read_text().splitlines()))
    assert [row[2] for row in rows] == ["Client Name", "'=1+1"]
    with zipfile.ZipFile(files["XLSX"]) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "0712 345 678" in sheet
    assert sheet.count("<row ") == 2


def test_the_keyboard_alone_is_enough(desk_of: Desk, people: dict[str, User]):
    loan = make_loan(make_partner(slug="umoja"))
    page = desk_of("jane.o")
    press = page.keyboard.press
    press("j")
    press("x")
    expect(page.locator("#bulk-said")).to_contain_text("1 selected")
    press("j")
    expect(page.get_by_role("link", name=str(loan.loan_id))).to_be_focused()
    press("Enter")
    page.wait_for_url(f"**/loan-tracking/{loan.pk}")

    tab_to(page, "Hold…")
    press("Enter")
    page.wait_for_url("**/hold")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    press("Shift+Tab")
    page.keyboard.type("Branch asked")
    tab_to(page, "Hold KSh 12,500")
    press("Enter")

    expect(page.get_by_text("Held KSh 12,500 until somebody releases it.")).to_be_visible()


def test_everything_is_done_without_javascript(desk_of: Desk, people: dict[str, User]):
    partner = make_partner(slug="umoja")
    loan, other = make_loan(partner), make_loan(partner)
    page = desk_of("jane.o", java_script_enabled=False)

    page.get_by_role("checkbox", name=f"Select loan {loan.loan_id}").check()
    page.get_by_role("button", name="Hold…").click()
    page.get_by_label("Reason").fill("Audit")
    page.get_by_role("button", name="Hold 1 loan").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hold: 1 of 1 done")
    page.goto(f"/loan-tracking/{other.pk}")
    page.get_by_role("link", name="Hold…").click()
    page.get_by_label("Reason").fill("Audit")
    page.get_by_role("button", name="Hold KSh 12,500").click()
    expect(page.get_by_text("Held KSh 12,500")).to_be_visible()
    page.goto("/charts")
    expect(page.get_by_role("table").first).to_be_visible()


def test_charts_are_drawn_and_their_numbers_are_below(desk_of: Desk, people: dict[str, User]):
    make_loan(make_partner(slug="umoja"), status=LoanStatus.DISBURSED)
    page = desk_of("jane.o")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/charts")

    canvas = page.locator("[data-table=t-volume] canvas")
    expect(canvas).to_be_visible()
    page.wait_for_function(DRAWN)
    expect(page.locator("#t-volume")).to_be_hidden()
    page.get_by_text("The numbers of Loans paid per day").click()
    expect(page.locator("#t-volume")).to_be_visible()
