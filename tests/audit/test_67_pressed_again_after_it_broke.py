"""AUDIT 67: a press that broke half-way is told as done when it is made again.

The ticket is used before the work begins. When the work dies (the database is away, the process is
killed), nothing was done; the person presses again and reads "That was done already".
"""

from __future__ import annotations

import re

import pytest
from django.db import OperationalError
from django.test import Client

from disbursements.pages import doing
from disbursements.pages.actions import HOLD
from disbursements.tests.making import make_loan
from disbursements.tests.test_pages_actions import make_user

pytestmark = pytest.mark.django_db


def test_what_broke_is_not_told_as_done(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(make_user("ann.k", HOLD))
    client.raise_request_exception = False
    loan = make_loan()
    page = f"/loan-tracking/{loan.pk}/hold"
    found = re.search(r'name="ticket" value="([^"]+)"', client.get(page).content.decode())
    told = {"reason": "fraud?", "ticket": found[1] if found else ""}

    def breaks(*args: object, **facts: object) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(doing, "hold_loan", breaks)
        assert client.post(page, told).status_code >= 500

    html = client.post(page, told, follow=True).content.decode()

    loan.refresh_from_db()
    assert not loan.staff_hold
    assert "done already" not in html
