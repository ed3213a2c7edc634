"""AUDIT 140: a press that was refused is told as done when the same button is pressed again.

Of a double click the browser shows the second answer. The first one was refused ("only a pending
loan can be held"), the second says "That was done already": staff believe that a loan is held, or
that Mifos X was told, and it is not.
"""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.pages.actions import HOLD
from disbursements.tests.making import make_loan, make_partner
from disbursements.tests.test_pages_actions import make_user
from loans.models import LoanStatus, LoanTracking
from partners.models import Partner
from partners.pausing import pause_partner

pytestmark = pytest.mark.django_db
PARTNER_RIGHTS = ("partners.view_partner", "partners.change_partner")


def ticket_of(client: Client, page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', client.get(page).content.decode())
    return found[1] if found else ""


def test_a_hold_that_was_refused_is_not_told_as_done(client: Client) -> None:
    client.force_login(make_user("ann.k", HOLD))
    loan = make_loan()
    page = f"/loan-tracking/{loan.pk}/hold"
    told = {"reason": "fraud?", "ticket": ticket_of(client, page)}
    LoanTracking.objects.update(status=LoanStatus.PROCESSING)  # a pass was faster
    client.post(page, told)

    html = client.post(page, told, follow=True).content.decode()

    loan.refresh_from_db()
    assert not loan.staff_hold
    assert "done already" not in html
    assert "only a pending loan can be held" in html


def test_a_resume_that_was_refused_is_not_told_as_done(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(make_user("ann.k", *PARTNER_RIGHTS))
    umoja = make_partner(slug="umoja")
    pause_partner(umoja, by="otieno", reason="fraud?", now=timezone.now())
    told = {"reason": "done", "ticket": ticket_of(client, "/partners/umoja/resume")}
    with monkeypatch.context() as another_was_faster:
        another_was_faster.setattr(
            "disbursements.pages.partner_acting.resume_partner", lambda *_, **__: False
        )
        client.post("/partners/umoja/resume", told)

    html = client.post("/partners/umoja/resume", told, follow=True).content.decode()

    assert Partner.objects.get().is_paused
    assert "done already" not in html
