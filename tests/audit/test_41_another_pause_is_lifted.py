"""AUDIT 41: "resume" lifts a pause that its page did not show.

A page that is open for an hour showed "month end, by otieno". Meanwhile he has resumed, and the
check of our own book, or a colleague who suspects a fraud, has paused again: that pause is lifted
unseen. A breaker was guarded so long ago (audit 24), a pause was not.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.pages import partner_acting, switching
from disbursements.pages.partner_acting import CHANGE
from disbursements.reconcile.coherence import Breach
from disbursements.reconcile.follow_up import stop_payouts
from disbursements.tests.making import make_partner
from disbursements.tests.test_pages_actions import make_user
from partners.models import Partner
from partners.pausing import pause_all, pause_partner, payouts_paused, resume_all, resume_partner

pytestmark = pytest.mark.django_db
OTIENO = {"by": "otieno", "reason": "month end"}
BREACH = Breach(partner="umoja", loan_tracking_id=1, loan_id=1, problem="two live attempts")
PAGES = {"all": "/payouts/resume", "one": "/partners/umoja/resume"}


@pytest.fixture
def umoja(client: Client) -> Partner:
    rights = ("partners.view_partner", CHANGE, switching.CHANGE)
    client.force_login(make_user("ann.k", *rights))
    return make_partner(slug="umoja")


def ticket_of(client: Client, page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', client.get(page).content.decode())
    return found[1] if found else ""


def pause(which: str, umoja: Partner) -> None:
    now = timezone.now()
    if which == "all":
        pause_all(**OTIENO, now=now)
    else:
        pause_partner(umoja, **OTIENO, now=now)


def pause_again(which: str, umoja: Partner) -> None:
    now = timezone.now()
    if which == "all":
        resume_all(**OTIENO, now=now)
        stop_payouts([BREACH], now=timezone.now())
    else:
        resume_partner(umoja, **OTIENO, now=now)
        pause_partner(umoja, by="achieng", reason="fraud?", now=timezone.now())


def is_paused(which: str) -> bool:
    return payouts_paused() is not None if which == "all" else Partner.objects.get().is_paused


@pytest.mark.parametrize("which", list(PAGES))
def test_a_pause_that_came_after_the_page_was_opened_stays(
    which: str, umoja: Partner, client: Client
) -> None:
    pause(which, umoja)
    told = {"reason": "Month end is done", "ticket": ticket_of(client, PAGES[which])}
    pause_again(which, umoja)

    client.post(PAGES[which], told)

    assert is_paused(which)


@pytest.mark.parametrize("which", list(PAGES))
def test_a_pause_that_comes_while_the_page_is_sent_stays(
    which: str, umoja: Partner, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(which, umoja)
    told = {"reason": "Month end is done", "ticket": ticket_of(client, PAGES[which])}
    module = switching if which == "all" else partner_acting
    use_ticket = module.use_ticket

    def paused_now(*args: Any, **facts: Any) -> Any:
        pause_again(which, umoja)
        return use_ticket(*args, **facts)

    monkeypatch.setattr(module, "use_ticket", paused_now)

    client.post(PAGES[which], told)

    assert is_paused(which)


@pytest.mark.parametrize("which", list(PAGES))
def test_the_pause_that_was_shown_is_lifted(which: str, umoja: Partner, client: Client) -> None:
    pause(which, umoja)
    told = {"reason": "Month end is done", "ticket": ticket_of(client, PAGES[which])}

    client.post(PAGES[which], told)

    assert not is_paused(which)
