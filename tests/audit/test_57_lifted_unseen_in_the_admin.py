"""AUDIT 57: the admin's two actions lift a stop that their page did not show.

Audits 24, 37 and 41 guard the pages of the desk. "Let the shortcode pay again" and "Resume payouts"
in the admin show no cause at all, and lift whatever stands when the form is sent: a refused
credential, or a colleague's pause for a fraud, that came while the reason was typed.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from disbursements.tests.making import make_partner
from mpesa.shortcodes import is_stopped, open_breaker
from partners.models import Partner
from partners.pausing import pause_partner, resume_partner

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
INPUT = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
LIST = "admin:partners_partner_changelist"


def asked(client: Client, action: str, partner: Partner) -> dict[str, Any]:
    """Return the form that asks for the reason, as the browser sends it back."""
    page = client.post(reverse(LIST), {"action": action, "_selected_action": partner.pk})
    return {**dict(INPUT.findall(page.content.decode())), "reason": "looked into it"}


def test_a_refused_credential_that_came_meanwhile_is_not_let_go(admin_client: Client) -> None:
    partner = make_partner()
    now = timezone.now()
    open_breaker(*PLACE, cause="a contradiction", now=now, is_credential_refused=False)
    form = asked(admin_client, "let_shortcode_pay", partner)
    open_breaker(*PLACE, cause="2001: credential refused", now=now)

    admin_client.post(reverse(LIST), form)

    assert is_stopped(*PLACE)


def test_another_pause_that_came_meanwhile_is_not_lifted(admin_client: Client) -> None:
    partner = make_partner()
    pause_partner(partner, by="otieno", reason="month end", now=timezone.now())
    form = asked(admin_client, "resume_payouts", partner)
    resume_partner(partner, by="otieno", reason="done", now=timezone.now())
    pause_partner(partner, by="achieng", reason="fraud?", now=timezone.now())

    admin_client.post(reverse(LIST), form)

    assert Partner.objects.get().is_paused
