"""AUDIT 114: a person approves another loan than the page showed.

Audit 102 ends an approval with the product, the client and the approval in Mifos X it was given
for. While somebody looks at the page of a loan that waits for one, its approval there is undone,
the product changed and the loan approved anew for the same amount. The open request and all that
the page's digest covers stay as they were, so what is confirmed is a loan that nobody was shown.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.pages.actions import KINDS
from disbursements.pages.cases import Case, read_cases
from disbursements.pages.doing import Order, Refused, do
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from loans.models import ApprovalState, LoanApproval, LoanTracking
from loans.refresh import take_facts
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db


def case_now() -> Case:
    [case] = read_cases([LoanTracking.objects.get()], "otieno")
    return case


def press(*, seen: str) -> None:
    user = User.objects.create(username="otieno")
    order = Order(user=user, reason="known client", now=timezone.now())
    do(KINDS["approve"], case_now(), order, seen=seen)


@pytest.fixture
def seen() -> str:
    """What the page of a loan that waits for an approval carries."""
    partner = make_partner()
    for number in (1, 2):
        make_product(partner, product_id=number, auto_approve=False)
    make_loan(partner)
    decide_for(whole(partner))
    return case_now().seen


def test_what_was_shown_is_approved(seen: str) -> None:
    press(seen=seen)

    assert LoanApproval.objects.get().state == ApprovalState.APPROVED


@pytest.mark.parametrize(
    "change",
    [
        {"product_id": 2, "product_name": "Land loan"},
        {"approved_on": timezone.localdate() - timedelta(days=1)},
        {"client_id": 77},
    ],
)
def test_what_was_not_shown_is_not_approved(seen: str, change: dict[str, Any]) -> None:
    loan = LoanTracking.objects.get()
    take_facts(loan.pk, change, now=timezone.now())
    decide_for(whole(loan.partner))

    with pytest.raises(Refused):
        press(seen=seen)

    assert LoanApproval.objects.get().state == ApprovalState.REQUESTED
