"""AUDIT 63: an old page lifts a stop that it did not show: in the admin, and "Release" of a loan.

"Whoever lifts a stop lifts the one he was shown" (docs/decisions/0006) was done for the desk's
partner pages (audits 24 and 41). The admin's two actions do the same without asking which stop it
was, and "Release" takes away whatever hold there is by now: also the one of a declined payout.
"""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.pages.actions import HOLD
from disbursements.tests.making import make_loan, make_partner
from disbursements.tests.test_pages_actions import make_user
from loans.holding import hold_loan, release_loan
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.models import Partner
from partners.pausing import pause_partner, resume_partner

pytestmark = pytest.mark.django_db
LIST = "/admin/partners/partner/"
PLACE = ("sandbox", "600000")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann.k", password="a-good-long-password"))
    return client


def opened(client: Client, action: str, partner: Partner) -> dict[str, str]:
    """What the page that asks for the reason would send."""
    html = client.post(LIST, {"action": action, "_selected_action": partner.pk}).content.decode()
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html)
    return {**dict(hidden), "reason": "Month end is done"}


def test_the_admin_resumes_only_the_pause_that_was_there_when_it_asked(admin: Client) -> None:
    umoja = make_partner(slug="umoja")
    pause_partner(umoja, by="otieno", reason="month end", now=timezone.now())
    told = opened(admin, "resume_payouts", umoja)
    resume_partner(umoja, by="otieno", reason="done", now=timezone.now())
    pause_partner(umoja, by="achieng", reason="fraud?", now=timezone.now())

    admin.post(LIST, told)

    assert Partner.objects.get().is_paused


def test_the_admin_resets_only_the_breaker_that_was_there_when_it_asked(admin: Client) -> None:
    umoja = make_partner(slug="umoja")
    open_breaker(*PLACE, cause="M-Pesa contradicts itself", now=timezone.now())
    told = opened(admin, "let_shortcode_pay", umoja)
    reset_breaker(*PLACE)  # a colleague was faster, and then
    open_breaker(*PLACE, cause="2001: credential refused", now=timezone.now())

    admin.post(LIST, told)

    assert is_stopped(*PLACE)


def test_release_lifts_only_the_hold_that_its_page_showed(client: Client) -> None:
    client.force_login(make_user("ann.k", HOLD))
    loan = make_loan()
    hold_loan(loan.pk, actor="otieno", reason="he calls back", now=timezone.now())
    html = client.get(f"/loan-tracking/{loan.pk}/release").content.decode()
    ticket = re.search(r'name="ticket" value="([^"]+)"', html)
    assert ticket
    release_loan(loan.pk, actor="otieno", reason="he did", now=timezone.now())
    hold_loan(loan.pk, actor="achieng", reason="fraud?", now=timezone.now())

    client.post(f"/loan-tracking/{loan.pk}/release", {"reason": "he did", "ticket": ticket[1]})

    loan.refresh_from_db()
    assert "fraud?" in loan.staff_hold
