"""AUDIT 152: a loan that only an approver can let go is not among those that need an approval.

A number that changed or is shared, or a loan that came back after it was disbursed, waits for an
approver as surely as an amount above the threshold. "Needs approval", and with it "Needs me", leave
it out, its tag says "Pending", and its advice is to correct Mifos X: it waits for ever, unseen.
"""

from __future__ import annotations

import pytest
from django.test import Client

from disbursements.pages.listing import VIEW_LOANS
from disbursements.pages.tags import APPROVAL, tag_of
from disbursements.tests.making import make_loan
from disbursements.tests.test_pages_actions import make_user
from loans.decide import APPROVABLE_HOLDS
from loans.models import HoldReason

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("hold", sorted(APPROVABLE_HOLDS))
def test_it_is_found_under_needs_approval(client: Client, hold: HoldReason) -> None:
    loan = make_loan(hold_reason=hold, client_name="Achieng Mary")
    client.force_login(make_user("ann.k", VIEW_LOANS))

    html = client.get("/loan-tracking?status=needs_approval").content.decode()

    assert "Achieng Mary" in html
    assert tag_of(loan) == APPROVAL


@pytest.mark.parametrize("hold", sorted(APPROVABLE_HOLDS - {HoldReason.REOPENED}))
def test_its_advice_is_to_ask_an_approver(client: Client, hold: HoldReason) -> None:
    loan = make_loan(hold_reason=hold, decided_at="2026-11-28T09:00:00Z")
    client.force_login(make_user("ann.k", VIEW_LOANS))

    html = client.get(f"/loan-tracking/{loan.pk}").content.decode()

    assert "Ask an approver" in html
