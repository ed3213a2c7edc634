"""AUDIT 160: a person's hold wipes out why the system held the loan, and its release pays it again.

The page offers "Hold" for a loan that nobody holds. In the instant in which the button is pressed
the comparison of the books holds it, because the statement shows it as paid. The person's words
take the place of that cause, which is said only once; whoever releases it later knows nothing of
the payment, and the next pass pays the borrower a second time. (Audit 79, the other way round.)
"""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from disbursements.claiming import call_person
from disbursements.pages import acting
from disbursements.tests.making import make_loan
from loans.audit import lock_loan
from loans.holding import HoldRefused, hold_loan
from tests.audit.test_146_a_pause_made_while_another_is_lifted import then

pytestmark = pytest.mark.django_db
PAID = "The statement shows receipt SGH7K2M9QD with the phone and amount of this loan"


def test_the_cause_stays_when_somebody_holds_it_too() -> None:
    loan = make_loan()
    call_person(lock_loan(loan.pk), PAID, now=timezone.now())

    with pytest.raises(HoldRefused):
        hold_loan(loan.pk, actor="otieno", reason="he calls back", now=timezone.now())

    loan.refresh_from_db()
    assert PAID in loan.staff_hold


def test_whoever_pressed_the_button_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(User.objects.create_superuser("ann.k", password="a-good-long-password"))
    loan = make_loan()
    page = f"/loan-tracking/{loan.pk}/hold"
    html = client.get(page).content.decode()
    asked = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html))

    def told() -> None:
        call_person(lock_loan(loan.pk), PAID, now=timezone.now())

    monkeypatch.setattr(acting, "use_ticket", then(told, after=acting.use_ticket))
    html = client.post(page, asked | {"reason": "he calls back"}, follow=True).content.decode()

    loan.refresh_from_db()
    assert PAID in loan.staff_hold
    assert "held already" in html
