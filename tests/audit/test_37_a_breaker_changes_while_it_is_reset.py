"""AUDIT 37: a breaker is stopped and reset at the same instant, in two statements each.

A refused credential that stops the shortcode between the look of the page and the reset is let go
unseen; and a reset between the two statements of a stop leaves a breaker that asks on, question
after question, with the refused credential (contracts/mpesa.md 4: they lock the operator).
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from disbursements.ask import may_ask
from disbursements.pages import partner_acting
from disbursements.pages.partner_acting import CHANGE
from disbursements.tests.making import make_partner
from disbursements.tests.test_pages_actions import make_user
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from tests.audit.test_24_whose_breaker import ticket_of

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


def contradicts() -> None:
    open_breaker(
        *PLACE,
        cause="M-Pesa contradicts itself",
        now=timezone.now(),
        is_credential_refused=False,
    )


def refuse() -> None:
    open_breaker(*PLACE, cause="2001: credential refused", now=timezone.now())


def test_a_refusal_that_comes_after_the_look_is_not_reset(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_partner(slug="umoja")
    client.force_login(make_user("ann.k", "partners.view_partner", CHANGE))
    contradicts()
    told = {"reason": "Looked into it", "ticket": ticket_of(client)}
    use_ticket = partner_acting.use_ticket

    def refused_now(*args: Any, **facts: Any) -> Any:
        refuse()
        return use_ticket(*args, **facts)

    monkeypatch.setattr(partner_acting, "use_ticket", refused_now)

    client.post("/partners/umoja/reset", told)

    assert is_stopped(*PLACE)


def test_a_reset_in_the_middle_of_a_stop_does_not_hide_the_refusal() -> None:
    partner = make_partner()
    contradicts()
    resets: list[bool] = []

    def reset_before_the_first(execute: Any, sql: str, *call: Any) -> Any:
        if sql.startswith("UPDATE") and not resets:
            resets.append(True)
            reset_breaker(*PLACE)
        return execute(sql, *call)

    with connection.execute_wrapper(reset_before_the_first):
        refuse()

    assert resets

    assert is_stopped(*PLACE)
    assert not may_ask(partner)
