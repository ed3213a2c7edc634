"""AUDIT 24: a breaker is reset by people of another partner, or from a page that showed another."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.pages.partner_acting import CHANGE
from disbursements.tests.making import make_partner
from disbursements.tests.test_pages_actions import make_user
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.models import PartnerMembership

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


def ticket_of(client: Client) -> str:
    html = client.get("/partners/umoja/reset").content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    return found[1] if found else ""


def test_whoever_is_bound_to_one_partner_does_not_let_the_other_one_pay_again(client: Client):
    umoja = make_partner(slug="umoja")
    make_partner(slug="other")  # on the same shortcode: its money too
    user = make_user("ann.k", "partners.view_partner", CHANGE)
    PartnerMembership.objects.create(user=user, partner=umoja)
    client.force_login(user)
    open_breaker(*PLACE, cause="2001", now=timezone.now())

    told = {"reason": "I want to", "ticket": ticket_of(client)}
    client.post("/partners/umoja/reset", told)

    assert is_stopped(*PLACE)


def test_a_page_that_showed_another_cause_resets_nothing(client: Client):
    make_partner(slug="umoja")
    client.force_login(make_user("ann.k", "partners.view_partner", CHANGE))
    open_breaker(*PLACE, cause="M-Pesa contradicts itself", now=timezone.now())
    told = {"reason": "Looked into it", "ticket": ticket_of(client)}
    reset_breaker(*PLACE)  # a colleague was faster, and then
    open_breaker(*PLACE, cause="2001: credential refused", now=timezone.now())

    client.post("/partners/umoja/reset", told)

    assert is_stopped(*PLACE)
