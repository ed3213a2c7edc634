"""AUDIT 198: the page that releases a loan does not say why it is held.

The statement shows a payment by hand with the phone and amount of a waiting loan: it is held until
a person has looked. The page that asks him to confirm the release says "Nothing was sent to M-Pesa
yet", and not one word of the payment: a person who takes the queue one by one pays it twice. (Many
at once are shown with their causes.)
"""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.claiming import call_person
from disbursements.pages.actions import HOLD
from disbursements.tests.making import make_loan
from disbursements.tests.test_pages_actions import make_user
from loans.audit import lock_loan
from loans.holding import hold_loan

pytestmark = pytest.mark.django_db
CAUSE = "The statement shows receipt SGX0000009 with the phone and amount of this loan"


@pytest.mark.parametrize("is_held_by_a_person", [True, False])
def test_the_cause_is_on_the_page(client: Client, *, is_held_by_a_person: bool) -> None:
    loan = make_loan()
    if is_held_by_a_person:
        hold_loan(loan.pk, actor="otieno", reason=CAUSE, now=timezone.now())
    else:
        call_person(lock_loan(loan.pk), CAUSE, now=timezone.now())
    client.force_login(make_user("ann.k", HOLD))

    html = client.get(f"/loan-tracking/{loan.pk}/release").content.decode()

    assert CAUSE in html
    assert "Nothing was sent to M-Pesa yet" not in html
