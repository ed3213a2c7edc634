"""AUDIT 146: a pause, or a hold, made in the instant in which a button is pressed is lifted unseen.

"Whoever lifts a stop lifts the one he was shown" (docs/decisions/0006) is compared before the
switch is turned. From a page that showed no pause, the switch is then turned without a guard; and
"Release" takes away whatever hold is there once the loan is locked: also the one that was written
because the statement shows the loan as paid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.claiming import call_person
from disbursements.pages import acting, switching
from disbursements.tests.making import make_loan, make_partner
from loans.audit import lock_loan
from loans.holding import hold_loan
from partners import stops
from partners.models import Partner
from partners.pausing import pause_all, pause_partner, payouts_paused

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann.k", password="a-good-long-password"))
    return client


def then(happens: Callable[[], object], *, after: Callable[..., Any]) -> Callable[..., Any]:
    """Let something happen in the instant after a call, before anything is made of its answer."""

    def both(*args: Any, **facts: Any) -> Any:
        found = after(*args, **facts)
        happens()
        return found

    return both


def hidden(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html))


def test_the_admin_lifts_no_pause_made_meanwhile(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    umoja = make_partner(slug="umoja")
    page = "/admin/partners/partner/"
    asked = admin.post(page, {"action": "resume_payouts", "_selected_action": umoja.pk})

    def pauses() -> None:
        pause_partner(Partner.objects.get(), by="achieng", reason="fraud?", now=timezone.now())

    monkeypatch.setattr(stops, "pause_of", then(pauses, after=stops.pause_of))
    admin.post(page, hidden(asked.content.decode()) | {"reason": "Month end is done"})

    assert Partner.objects.get().is_paused


def test_the_switch_lifts_no_stop_made_meanwhile(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = hidden(admin.get("/payouts/resume").content.decode())

    def pauses() -> None:
        pause_all(by="achieng", reason="fraud?", now=timezone.now())

    monkeypatch.setattr(switching, "payouts_paused", then(pauses, after=payouts_paused))
    admin.post("/payouts/resume", asked | {"reason": "Month end is done"})

    assert payouts_paused() is not None


def test_release_lifts_no_hold_made_meanwhile(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = make_loan()
    hold_loan(loan.pk, actor="otieno", reason="he calls back", now=timezone.now())
    page = f"/loan-tracking/{loan.pk}/release"
    asked = hidden(admin.get(page).content.decode())
    paid = "The statement shows receipt SGH7K2M9QD with the phone and amount of this loan"

    def told() -> None:
        call_person(lock_loan(loan.pk), paid, now=timezone.now())

    monkeypatch.setattr(acting, "use_ticket", then(told, after=acting.use_ticket))
    html = admin.post(page, asked | {"reason": "he did"}, follow=True).content.decode()

    loan.refresh_from_db()
    assert paid in loan.staff_hold
    assert "has changed since you looked" in html
