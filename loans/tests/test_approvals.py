"""A second pair of eyes: what was seen is what is approved, and nobody approves his own request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.tests.making import make_loan
from loans.approvals import ApprovalRefused, approve_loan, decline_loan, request_approval
from loans.decide import set_hold
from loans.eligibility import Refusal
from loans.models import ApprovalState, HoldReason, LoanApproval, LoanEvent, LoanTracking
from loans.rules import facts_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def loan() -> LoanTracking:
    loan = make_loan()
    set_hold(loan, Refusal(hold=HoldReason.NEEDS_APPROVAL), actor="system", now=NOW)
    return loan


def person(name: str = "achieng") -> User:
    return User.objects.get_or_create(username=name)[0]


def approve(loan: LoanTracking, **changes: Any) -> None:
    facts: dict[str, Any] = {
        "by": person(),
        "amount": loan.net_disbursal_amount,
        "phone_number": loan.phone_number,
        "reason": "checked",
        "now": NOW,
    }
    approve_loan(loan.pk, **{**facts, **changes})


def is_approved(loan: LoanTracking) -> bool:
    return bool(facts_of([LoanTracking.objects.get(pk=loan.pk)])[0].approved_causes)


def test_an_approval_is_kept_with_its_person_and_judged_anew(loan):
    approve(loan)

    kept = LoanApproval.objects.get()
    assert (kept.state, kept.decided_by) == (ApprovalState.APPROVED, person())
    assert is_approved(loan)
    assert LoanTracking.objects.get().decided_at is None
    event = LoanEvent.objects.last()
    assert event is not None
    assert event.actor == "achieng"
    assert loan.phone_number not in str(event.details)


@pytest.mark.parametrize("change", [{"net_disbursal_amount": 1}, {"phone_number": "254711999999"}])
def test_an_approval_is_worth_nothing_for_anything_else(loan, change):
    approve(loan)
    LoanTracking.objects.update(**change)

    assert not is_approved(loan)


@pytest.mark.parametrize("change", [{"amount": Decimal(1)}, {"phone_number": "254711999999"}])
def test_what_was_not_seen_is_not_approved(loan, change):
    with pytest.raises(ApprovalRefused, match="changed; look again"):
        approve(loan, **change)


def test_a_request_that_is_older_than_the_facts_is_not_approved(loan):
    LoanTracking.objects.update(net_disbursal_amount=1)
    loan.refresh_from_db()

    with pytest.raises(ApprovalRefused, match="changed; look again"):
        approve(loan)


def test_nobody_approves_or_declines_his_own_request_and_a_reason_is_needed(loan):
    request_approval(loan.pk, by="achieng", now=NOW)

    with pytest.raises(ApprovalRefused, match="another person"):
        approve(loan)
    with pytest.raises(ApprovalRefused, match="another person"):
        decline_loan(loan.pk, by=person(), reason="no", now=NOW)
    with pytest.raises(ApprovalRefused, match="reason is required"):
        approve(loan, by=person("otieno"), reason=" ")


def test_a_declined_loan_stays_with_staff(loan):
    decline_loan(loan.pk, by=person(), reason="not known here", now=NOW)

    held = LoanTracking.objects.get()
    assert held.staff_hold == "Declined by achieng: not known here"
    assert not is_approved(loan)


def test_only_a_loan_that_waits_for_an_approval_gets_one(loan):
    with pytest.raises(ApprovalRefused, match="does not wait"):
        approve(make_loan())
    LoanTracking.objects.filter(pk=loan.pk).update(status="processing_disbursement")
    with pytest.raises(ApprovalRefused, match="does not wait"):
        approve(loan)
    with pytest.raises(ApprovalRefused, match="Nobody has asked"):
        approve(make_loan(hold_reason=HoldReason.PHONE_SHARED))


def test_without_an_amount_there_is_nothing_to_ask_for():
    loan = make_loan(net_disbursal_amount=None)

    with pytest.raises(ApprovalRefused, match="does not say"):
        request_approval(loan.pk, by="achieng", now=NOW)
