"""A known loan follows Mifos X while nothing was sent, and comes back only past a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.tests.making import make_loan
from disbursements.tests.peers import FakeMifos, detail_of
from loans.approvals import approve_loan
from loans.decide import decide_pending, set_hold
from loans.eligibility import Refusal
from loans.models import ApprovalState, HoldReason, LoanEvent, LoanStatus, LoanTracking
from loans.refresh import cancel, cancel_or_keep, reopen, review_if_undone, take_facts
from loans.rules import facts_of
from loans.terms import columns_of_loan
from mifos.client import MifosUnreachable

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def mifos_with(loan: LoanTracking, **changes: Any) -> Any:
    mifos = FakeMifos()
    mifos.know(loan, **changes)
    return mifos


def again(loan: LoanTracking) -> LoanTracking:
    return LoanTracking.objects.get(pk=loan.pk)


def test_facts_that_changed_are_kept_told_and_judged_anew():
    loan = make_loan(decided_at=NOW)

    take_facts(loan.pk, {"loan_amount": 500, "client_name": "Jane"}, now=NOW)

    loan = again(loan)
    assert (loan.loan_amount, loan.client_name) == (Decimal(500), "Jane")
    assert loan.decided_at is None
    reason = LoanEvent.objects.get(loan_tracking=loan).reason
    assert reason.startswith("Mifos X changed: loan amount from 12500.00 to 500")


def test_facts_that_did_not_change_cost_no_event():
    loan = make_loan()

    take_facts(loan.pk, {"currency": "KES"}, now=NOW)

    assert not LoanEvent.objects.exists()


def test_a_loan_that_is_being_paid_keeps_the_facts_it_was_claimed_with():
    loan = make_loan(status=LoanStatus.PROCESSING)

    take_facts(loan.pk, {"loan_amount": 500}, now=NOW)

    assert again(loan).loan_amount == 12_500


@pytest.mark.parametrize(
    "numbers",
    [
        ["254711111111"],
        ["", "254711111111"],
        ["0203 landline", "254711111111"],
        ["", "0203 landline", "", "254711111111"],
    ],
)
def test_a_number_that_changed_needs_a_person_by_whatever_detour_it_came(numbers):
    loan = make_loan()

    for number in numbers:
        loan = take_facts(loan.pk, {"phone_number": number}, now=NOW)

    loan = again(loan)
    assert loan.approval_cause == HoldReason.PHONE_CHANGED
    assert loan.phone_changed_at == NOW
    assert "111111" not in "".join(LoanEvent.objects.values_list("reason", flat=True))


def test_a_first_number_is_no_change():
    loan = make_loan(phone_number="")

    take_facts(loan.pk, {"phone_number": "254711111111"}, now=NOW)

    assert again(loan).approval_cause == ""


@pytest.mark.parametrize(
    ("status_id", "why", "cause"),
    [
        (100, "approval was undone", ""),
        (300, "disbursed by hand", "reopened"),
        (400, "withdrawn by the applicant", ""),
        (999, "no longer there", ""),
    ],
)
def test_a_loan_that_left_the_waiting_list_is_cancelled_and_says_why(status_id, why, cause):
    loan = make_loan()

    assert cancel_or_keep(loan.pk, loan.loan_id, mifos_with(loan, status_id=status_id), now=NOW)

    loan = again(loan)
    assert (loan.status, loan.approval_cause) == (LoanStatus.CANCELLED, cause)
    assert why in loan.error_message


def test_absence_from_a_list_cancels_nothing():
    loan = make_loan()

    assert not cancel_or_keep(loan.pk, loan.loan_id, mifos_with(loan), now=NOW)
    assert again(loan).status == LoanStatus.PENDING


def test_a_loan_that_is_gone_is_cancelled_and_one_that_cannot_be_read_is_not():
    gone, unread = make_loan(), make_loan()
    away = mifos_with(unread)
    away.loans[unread.loan_id] = MifosUnreachable("away")

    assert cancel_or_keep(gone.pk, gone.loan_id, mifos_with(unread), now=NOW)
    with pytest.raises(MifosUnreachable):
        cancel_or_keep(unread.pk, unread.loan_id, away, now=NOW)
    assert "not found" in again(gone).error_message


def test_a_loan_that_is_being_paid_is_never_cancelled():
    loan = make_loan(status=LoanStatus.PROCESSING)

    assert not cancel(loan.pk, None, now=NOW)


def test_a_cancelled_loan_that_waits_again_is_judged_anew_once():
    loan = make_loan(status=LoanStatus.CANCELLED, error_message="left")
    columns = columns_of_loan(detail_of(loan, principal=Decimal(900)))

    reopen(loan.pk, columns, now=NOW)
    reopen(loan.pk, columns, now=NOW)

    loan = again(loan)
    assert (loan.status, loan.error_message) == ("pending_disbursement", "")
    assert loan.loan_amount == 900
    assert LoanEvent.objects.count() == 1


def test_an_approval_does_not_outlive_a_disbursal_by_hand():
    loan = make_loan(approval_cause=HoldReason.PHONE_CHANGED)
    set_hold(loan, Refusal(hold=HoldReason.PHONE_CHANGED), actor="system", now=NOW)
    approve_loan(
        loan.pk,
        by=User.objects.create(username="wanjiku"),
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        reason="called",
        now=NOW,
    )
    assert facts_of([again(loan)])[0].approved_causes == {HoldReason.PHONE_CHANGED}

    cancel(loan.pk, detail_of(loan, status_id=300), now=NOW)
    reopen(loan.pk, {}, now=NOW)

    loan = again(loan)
    assert not facts_of([loan])[0].approved_causes
    decide_pending(loan.partner, gate=None, now=NOW, today=timezone.localdate(NOW))
    assert loan.approvals.filter(state=ApprovalState.EXPIRED).exists()


def test_a_paid_loan_that_waits_again_calls_a_person_once():
    loan = make_loan(status=LoanStatus.DISBURSED)

    for _ in range(2):
        review_if_undone(again(loan), mifos_with(loan), now=NOW)

    assert again(loan).review_reason == "undone_after_payment"
    assert LoanEvent.objects.count() == 1


def test_a_list_that_is_older_than_our_record_alarms_nobody():
    loan = make_loan(status=LoanStatus.DISBURSED)
    away = mifos_with(loan)
    away.loans[loan.loan_id] = MifosUnreachable("away")

    review_if_undone(loan, mifos_with(loan, status_id=300), now=NOW)
    review_if_undone(loan, away, now=NOW)

    assert again(loan).review_reason == ""


@pytest.mark.parametrize("is_phone_changed", [False, True])
@pytest.mark.parametrize("status_id", [100, None])
def test_a_loan_that_was_paid_by_hand_waits_for_a_person_however_often_it_comes_back(
    status_id, is_phone_changed
):
    loan = make_loan()
    cancel(loan.pk, detail_of(loan, status_id=300), now=NOW)
    reopen(loan.pk, {}, now=NOW)
    if is_phone_changed:
        take_facts(loan.pk, {"phone_number": "254711000111"}, now=NOW)

    cancel(loan.pk, detail_of(loan, status_id=status_id) if status_id else None, now=NOW)
    reopen(loan.pk, {}, now=NOW)

    assert again(loan).approval_cause == HoldReason.REOPENED


def test_a_new_cycle_waits_for_a_person_however_often_it_comes_back():
    loan = make_loan(cycle=2, approval_cause=HoldReason.PHONE_CHANGED)

    cancel(loan.pk, detail_of(loan, status_id=100), now=NOW)
    reopen(loan.pk, {}, now=NOW)

    assert again(loan).approval_cause == HoldReason.REOPENED
