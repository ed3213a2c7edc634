"""Staff stop a loan, let it go, and open a new cycle that they cannot approve themselves."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.tests.making import make_loan, make_product
from loans.approvals import ApprovalRefused, approve_loan
from loans.decide import decide_pending
from loans.holding import HoldRefused, hold_loan, open_new_cycle, release_loan
from loans.models import HoldReason, LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def again(loan: LoanTracking) -> LoanTracking:
    return LoanTracking.objects.get(pk=loan.pk)


def undone() -> LoanTracking:
    return make_loan(status=LoanStatus.DISBURSED, review_reason="undone_after_payment")


def test_a_held_loan_waits_until_it_is_released():
    loan = make_loan()

    hold_loan(loan.pk, actor="otieno", reason="strange call", now=NOW)
    assert again(loan).hold_reason == HoldReason.HELD_BY_STAFF
    assert "otieno" in again(loan).error_message

    release_loan(loan.pk, actor="otieno", reason="cleared", now=NOW)
    assert again(loan).staff_hold == ""
    assert again(loan).decided_at is None


@pytest.mark.parametrize("status", ["processing_disbursement", "failed", "cancelled"])
def test_only_a_pending_loan_can_be_held(status):
    loan = make_loan(status=status)

    with pytest.raises(HoldRefused, match="only a pending loan"):
        hold_loan(loan.pk, actor="otieno", reason="strange call", now=NOW)


def test_holding_needs_a_reason_and_releasing_a_hold():
    loan = make_loan()

    with pytest.raises(HoldRefused, match="reason is required"):
        hold_loan(loan.pk, actor="otieno", reason=" ", now=NOW)
    with pytest.raises(HoldRefused, match="not held by staff"):
        release_loan(loan.pk, actor="otieno", reason="cleared", now=NOW)


def test_whoever_opens_a_new_cycle_cannot_approve_it():
    old = undone()
    make_product(old.partner)

    fresh = open_new_cycle(old.pk, actor="otieno", reason="paid back in cash", now=NOW)

    decide_pending(old.partner, gate=None, now=NOW, today=timezone.localdate(NOW))
    fresh = again(fresh)
    assert (fresh.cycle, fresh.approval_cause) == (2, HoldReason.REOPENED)
    assert again(old).review_reason == ""
    assert fresh.approvals.get().requested_by == "otieno"
    with pytest.raises(ApprovalRefused, match="another person"):
        approve_loan(
            fresh.pk,
            by=User.objects.create(username="otieno"),
            amount=fresh.net_disbursal_amount,
            phone_number=fresh.phone_number,
            reason="mine",
            now=NOW,
        )


def test_a_new_cycle_needs_an_undone_payment_a_reason_and_no_newer_cycle():
    with pytest.raises(HoldRefused, match="only after"):
        open_new_cycle(make_loan().pk, actor="otieno", reason="please", now=NOW)
    old = undone()
    with pytest.raises(HoldRefused, match="only after"):
        open_new_cycle(old.pk, actor="otieno", reason=" ", now=NOW)
    make_loan(old.partner, loan_id=old.loan_id, cycle=2)
    with pytest.raises(HoldRefused, match="newer cycle"):
        open_new_cycle(old.pk, actor="otieno", reason="please", now=NOW)
