"""The partners page: what may be done there, the last day's passes, and the error budget."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from disbursements.models import StaffAction, SyncRun
from disbursements.pages import partner_acting
from disbursements.pages.budget import Budget
from disbursements.pages.partner_acting import ASKING, CHANGE
from disbursements.pages.runs import SLOTS, days_of
from disbursements.pages.switching import CHANGE as CHANGE_SWITCH
from disbursements.reports import FetchReport
from disbursements.tests.making import make_loan, make_partner
from disbursements.tests.test_pages_actions import make_user
from loans.fetch import PartnerFetch
from loans.models import LoanApproval
from mpesa.models import Shortcode
from partners.findings import Finding, Verdict
from partners.models import Partner, PartnerMembership
from partners.pausing import payouts_paused

pytestmark = pytest.mark.django_db
VIEW = "partners.view_partner"


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", name="Umoja Sacco")


@pytest.fixture
def admin(client: Client) -> Client:
    held = (VIEW, CHANGE, CHANGE_SWITCH, "loans.hold_loantracking")
    client.force_login(make_user("ann.k", *held))
    return client


def press(client: Client, name: str, **fields: str) -> str:
    address = f"/partners/umoja/{name}"
    html = client.get(address).content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found, html
    told = {"reason": "Float audit", "ticket": found[1], **fields}
    answer = client.post(address, told, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_pausing_and_resuming_name_the_person_and_the_reason(admin: Client, umoja: Partner):
    html = press(admin, "pause")
    assert "Payouts are paused by ann.k" in html
    assert "Float audit" in html

    press(admin, "resume", reason="Audit done")

    umoja.refresh_from_db()
    assert not umoja.is_paused
    assert LogEntry.objects.filter(change_message__contains="Audit done").exists()


def test_a_stopped_shortcode_pays_again_on_a_persons_word(admin: Client, umoja: Partner):
    code = Shortcode.objects.create(
        environment="sandbox",
        shortcode=umoja.mpesa_shortcode,
        breaker_opened_at=timezone.now(),
        breaker_cause="2001: The initiator information is invalid.",
    )

    assert "2001" in admin.get("/partners/umoja/reset").content.decode()
    press(admin, "reset", reason="New password set")

    code.refresh_from_db()
    assert code.breaker_opened_at is None
    assert LogEntry.objects.filter(change_message__contains="New password set").exists()


def test_pressing_twice_pauses_once(admin: Client, umoja: Partner):
    html = admin.get("/partners/umoja/pause").content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found
    told = {"reason": "Audit", "ticket": found[1]}
    admin.post("/partners/umoja/pause", told)
    press(admin, "resume")

    admin.post("/partners/umoja/pause", told)

    umoja.refresh_from_db()
    assert not umoja.is_paused
    assert StaffAction.objects.count() == 2


@pytest.mark.parametrize("name", ASKING)
def test_a_reason_is_required(admin: Client, umoja: Partner, name: str):
    answer = admin.post(f"/partners/umoja/{name}", {"reason": " "})

    assert answer.status_code == 200
    assert not StaffAction.objects.exists()


@pytest.mark.parametrize("name", [*ASKING, "test", "poll"])
def test_a_viewer_is_refused_and_sees_no_button(client: Client, umoja: Partner, name: str):
    client.force_login(make_user("viewer", VIEW))

    assert client.post(f"/partners/umoja/{name}", {"reason": "x"}).status_code == 403
    assert f"/partners/umoja/{name}" not in client.get("/partners").content.decode()


def test_an_unknown_partner_is_not_found(admin: Client):
    for name in [*ASKING, "test", "poll"]:
        assert admin.post(f"/partners/nobody/{name}", {"reason": "x"}).status_code == 404


def test_the_connection_is_tested_and_what_to_do_is_said(
    admin: Client, umoja: Partner, monkeypatch: pytest.MonkeyPatch
):
    findings = [
        Finding(subject="x", verdict=Verdict.OK, detail="Mifos X login as loanpoll"),
        Finding(subject="x", verdict=Verdict.FAIL, detail="No token", likely="a", fix="Copy it"),
    ]
    monkeypatch.setattr(partner_acting, "check_access", lambda partner, now: findings)

    html = admin.post("/partners/umoja/test").content.decode()

    assert "Umoja Sacco: 1 trouble" in html
    assert "Copy it" in html
    assert admin.get("/partners/umoja/test").status_code == 405


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (PartnerFetch(partner="Umoja", slug="umoja", approved=9, new_loans=1), "9 approved loans"),
        (PartnerFetch(partner="Umoja", slug="umoja", error="HTTP 401"), "Umoja: HTTP 401"),
    ],
)
def test_polling_now_says_what_it_found(
    admin: Client,
    umoja: Partner,
    monkeypatch: pytest.MonkeyPatch,
    found: PartnerFetch,
    told: str,
):
    report = FetchReport(results=[found])
    monkeypatch.setattr(partner_acting, "run_fetch", lambda triggered_by, partners: report)

    assert told in admin.post("/partners/umoja/poll", follow=True).content.decode()


def make_run(minutes_ago: float, *, error: str = "", slug: str = "umoja") -> None:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    fetch = {"slug": slug, "error": error, "approved": 9, "new_loans": 1}
    process = {"slug": slug, "error": "", "paid": 2}
    SyncRun.objects.create(
        command="sync",
        triggered_by="schedule",
        started_at=at,
        finished_at=at,
        success=not error,
        summary={"fetch": [fetch], "process": [process]},
    )


def test_a_day_of_passes_is_one_strip(admin: Client, umoja: Partner):
    make_run(5)
    make_run(6, error="Mifos X refused 0712345678")
    make_run(70)
    make_run(80, slug="another")
    make_run(60 * 25)

    day = days_of(["umoja"], now=timezone.now())["umoja"]

    assert day.said.startswith("3 passes in 24 hours, 1 failed, the last at ")
    assert [stretch.state for stretch in day.strip] == ["none", "ok", "none", "bad"]
    assert sum(stretch.width for stretch in day.strip) == SLOTS
    assert day.newest[1].error == "Mifos X refused 0712 ***678"
    assert "Mifos X refused" in admin.get("/partners").content.decode()


def test_no_pass_at_all_is_said(admin: Client, umoja: Partner):
    assert "No pass in the last 24 hours." in admin.get("/partners").content.decode()


def test_the_error_budget_counts_late_payouts_that_waited_for_nobody(admin: Client, umoja: Partner):
    now = timezone.now()
    for minutes in (1, 2, 14, 16):
        make_loan(
            umoja,
            status="disbursed",
            created_at=now - timedelta(minutes=minutes + 1),
            disbursed_at=now - timedelta(minutes=1),
        )
    approved = make_loan(
        umoja, status="disbursed", created_at=now - timedelta(hours=5), disbursed_at=now
    )
    LoanApproval.objects.create(
        loan_tracking=approved,
        amount=Decimal(1),
        phone_number="",
        requested_by="system",
        requested_at=now,
        state="approved",
    )
    make_loan(
        umoja,
        status="disbursed",
        created_at=now - timedelta(days=9),
        disbursed_at=now,
        expected_disbursement_date=timezone.localdate(),
    )

    [card] = admin.get("/partners").context["cards"]

    assert card.budget == Budget(paid=4, late=1)
    assert card.budget.said == "1 of 4 payouts took over 15 min in 30 days"


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        (Budget(), "no payouts yet"),
        (Budget(paid=1000), "100 % left"),
        (Budget(paid=1000, late=4), "60 % left"),
        (Budget(paid=100, late=50), "0 % left"),
    ],
)
def test_the_budget_never_goes_below_nothing(budget: Budget, left: str):
    assert budget.left == left


def turn(client: Client, name: str, *, reason: str = "Callbacks look forged") -> str:
    page = client.get(f"/payouts/{name}").content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found
    told = {"reason": reason, "ticket": found[1]}
    return client.post(f"/payouts/{name}", told, follow=True).content.decode()


def test_all_payouts_are_stopped_and_resumed_with_person_and_reason(admin: Client, umoja: Partner):
    assert "Stop all payouts…" in admin.get("/partners").content.decode()

    html = turn(admin, "pause")

    switch = payouts_paused()
    assert switch is not None
    assert (switch.paused_by, switch.pause_reason) == ("ann.k", "Callbacks look forged")
    assert "Resume all payouts…" in html
    assert "All payouts are paused by ann.k" in admin.get("/loan-tracking").content.decode()

    turn(admin, "resume", reason="Statement agrees")

    assert payouts_paused() is None
    assert LogEntry.objects.filter(change_message__contains="Statement agrees").exists()


def test_an_old_ticket_turns_the_switch_once(admin: Client, umoja: Partner):
    page = admin.get("/payouts/pause").content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found
    told = {"reason": "Audit", "ticket": found[1]}
    admin.post("/payouts/pause", told)
    turn(admin, "resume")

    admin.post("/payouts/pause", told)
    forged = admin.post("/payouts/pause", {**told, "ticket": "x"}).content.decode()

    assert payouts_paused() is None
    assert "This page was open for too long" in forged


def test_the_switch_wants_a_reason_and_the_right(admin: Client, umoja: Partner, client: Client):
    assert "field-error" in admin.post("/payouts/pause", {}).content.decode()
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.groups.add(Group.objects.get(name="Approver"))
    client.force_login(viewer)

    assert client.get("/payouts/pause").status_code == 403
    assert "Stop all payouts" not in client.get("/partners").content.decode()


def test_who_is_bound_to_one_lender_does_not_stop_all(client: Client, umoja: Partner):
    bound = User.objects.create_user("bruno", is_staff=True)
    bound.groups.add(Group.objects.get(name="Administrator"))
    PartnerMembership.objects.create(user=bound, partner=umoja)
    client.force_login(bound)

    assert client.get("/payouts/pause").status_code == 403
    assert "Stop all payouts" not in client.get("/partners").content.decode()
