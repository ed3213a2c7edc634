"""AUDIT 167: a loan that changes in the instant in which it is approved is approved as another one.

Audit 114 compares the page with the loan before the press is carried out, and the amount, the phone
and the hold once more under the lock. The product, the client and the approval in Mifos X are not:
a poll that writes them in between (while many loans are approved at once, for seconds) ends the
approvals that are there, and this one is given after it, for a loan that nobody has seen.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.pages import acting
from disbursements.tests.making import make_loan, make_partner, make_product
from loans.models import ApprovalState, HoldReason, LoanTracking
from loans.refresh import take_facts
from tests.audit.test_31_mends_of_the_first import decided
from tests.audit.test_146_a_pause_made_while_another_is_lifted import then

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting() -> LoanTracking:
    partner = make_partner()
    make_product(partner, auto_approve=False)
    make_product(partner, product_id=2, auto_approve=False)
    loan = decided(make_loan(partner))
    assert loan.hold_reason == HoldReason.NEEDS_APPROVAL
    return loan


@pytest.mark.parametrize("change", [{"product_id": 2}, {"client_id": 99}, {}])
def test_only_what_was_shown_is_approved(
    client: Client,
    waiting: LoanTracking,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
) -> None:
    client.force_login(User.objects.create_superuser("ann.k", password="a-good-long-password"))
    page = f"/loan-tracking/{waiting.pk}/approve"
    html = client.get(page).content.decode()
    asked = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html))

    def changes() -> None:
        take_facts(waiting.pk, change, now=timezone.now())

    monkeypatch.setattr(acting, "use_ticket", then(changes, after=acting.use_ticket))
    client.post(page, asked | {"reason": "the visit was fine"}, follow=True)

    is_approved = waiting.approvals.filter(state=ApprovalState.APPROVED).exists()
    assert is_approved == (not change)
