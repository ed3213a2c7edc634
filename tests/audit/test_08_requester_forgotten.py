"""AUDIT 8: who asked to pay a paid loan again may approve it, once another has declined it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.approvals import ApprovalRefused, approve_loan, decline_loan
from loans.decide import decide_pending
from loans.holding import open_new_cycle, release_loan
from loans.models import LoanStatus, LoanTracking
from loans.refresh import cancel, reopen
from partners.models import Partner

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def cycle_2() -> LoanTracking:
    partner = make_partner()
    make_product(partner)
    paid = make_loan(partner, status=LoanStatus.DISBURSED, review_reason="undone_after_payment")
    make_attempt(paid, status="completed")
    return open_new_cycle(paid.pk, actor="alice", reason="she asks for it", now=NOW)


def decided(loan: LoanTracking) -> LoanTracking:
    partner = Partner.objects.prefetch_related("products").get(pk=loan.partner_id)
    now = timezone.now()
    decide_pending(partner, gate=None, now=now, today=timezone.localdate(now))
    return LoanTracking.objects.get(pk=loan.pk)


def approve_as_alice(loan: LoanTracking) -> None:
    alice = User.objects.create(username="alice")
    approve_loan(
        loan.pk,
        by=alice,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        reason="fine by me",
        now=NOW,
    )


def test_alice_may_not_approve_her_own_cycle_after_bob_declined_it(cycle_2):
    bob = User.objects.create(username="bob")
    decline_loan(cycle_2.pk, by=bob, reason="it was paid", now=NOW)
    release_loan(cycle_2.pk, actor="alice", reason="I disagree", now=NOW)
    loan = decided(cycle_2)

    with pytest.raises(ApprovalRefused):
        approve_as_alice(loan)


def test_alice_may_not_approve_her_own_cycle_after_it_left_the_list_and_came_back(cycle_2):
    cancel(cycle_2.pk, None, now=NOW)
    reopen(cycle_2.pk, {}, now=NOW)
    loan = decided(cycle_2)

    with pytest.raises(ApprovalRefused):
        approve_as_alice(loan)
