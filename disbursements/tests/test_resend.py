"""The same id again: only what was promised, only from where it was promised, only when allowed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements import resend
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.resend import (
    due_again,
    give_up,
    send_again,
    send_due_again,
    take_back_unsent,
)
from disbursements.resolve import propose, withdraw
from disbursements.shop import Shop
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.audit import note_change
from loans.eligibility import Refusal
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason
from mifos.client import MifosUnreachable
from mpesa.client import MpesaNotSent
from mpesa.models import MpesaRequest
from mpesa.shortcodes import mark_float_short
from partners.models import Partner

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)
NOT_FOUND = {
    "status": AttemptStatus.UNKNOWN,
    "sends_in_doubt": 1,
    "first_sent_at": NOW - 3 * HOUR,
    "last_sent_at": NOW - 3 * HOUR,
    "first_not_found_at": NOW - 2 * HOUR,
    "last_not_found_at": NOW - HOUR,
}
NOT_SENT = {
    "status": AttemptStatus.SUBMITTING,
    "sends_in_doubt": 0,
    "resend_at": NOW - HOUR,
    "first_sent_at": NOW - 2 * HOUR,
    "last_sent_at": NOW - 2 * HOUR,
}


class Scene:
    """One partner, one loan that is being paid, and the peers of a pass."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.partner = make_partner()
        make_product(self.partner)
        self.loan = make_loan(self.partner, status=LoanStatus.PROCESSING)
        self.attempt = make_attempt(self.loan, **columns)
        self.mifos, self.mpesa = FakeMifos(), FakeMpesa()
        self.mifos.know(self.loan)

    @property
    def shop(self) -> Shop:
        return make_shop(self.partner, self.mifos, self.mpesa)

    def again(self, shop: Shop | None = None) -> DisbursementRequest:
        send_again(self.attempt.pk, shop or self.shop)
        self.loan.refresh_from_db()
        self.attempt.refresh_from_db()
        return self.attempt

    @property
    def due(self) -> bool:
        return due_again(Partner.objects.get(), now=NOW) == [self.attempt.pk]


@pytest.mark.parametrize("columns", [NOT_SENT, NOT_FOUND])
def test_the_very_same_order_leaves_again_with_a_new_return_address(columns):
    scene = Scene(columns)
    assert scene.due

    attempt = scene.again()

    [order] = scene.mpesa.orders
    assert order.originator_conversation_id == attempt.originator_conversation_id
    assert (order.amount, order.msisdn) == (attempt.amount, attempt.msisdn)
    assert (attempt.status, attempt.send_count) == (AttemptStatus.ACCEPTED, 2)
    assert attempt.first_not_found_at is None
    assert attempt.first_sent_at == columns["first_sent_at"]
    assert MpesaRequest.objects.get().originator_conversation_id == str(attempt)
    assert not scene.due


@pytest.mark.parametrize(
    "change",
    [
        {"last_not_found_at": NOW - 2 * HOUR + timedelta(minutes=9)},  # too close
        {"last_sent_at": NOW - HOUR - timedelta(minutes=59)},  # the first before the last send
        {"first_sent_at": NOW - 24 * HOUR},  # too late
        {"last_not_found_at": None},
        {"first_not_found_at": None},
        {"failure_reported_at": NOW},
    ],
)
def test_an_unknown_payment_is_not_sent_again_before_rule_6_allows_it(change):
    scene = Scene({**NOT_FOUND, **change})

    assert not scene.due
    assert scene.again().send_count == 1


def test_the_second_not_found_must_be_an_hour_after_the_send():
    early = {
        "last_sent_at": NOW - timedelta(minutes=59),
        "first_not_found_at": NOW - timedelta(minutes=30),
        "last_not_found_at": NOW,
    }
    assert not Scene({**NOT_FOUND, **early}).due


def test_a_partner_may_switch_the_second_send_off():
    scene = Scene(NOT_FOUND)
    Partner.objects.update(resend_unknown=False)

    assert not scene.due


def test_a_payment_that_left_a_shortcode_is_not_sent_from_another():
    scene = Scene(NOT_SENT)
    Partner.objects.update(mpesa_shortcode="600001")
    scene.partner.refresh_from_db()

    assert not scene.due
    assert scene.again().send_count == 1
    assert scene.mpesa.orders == []


def test_a_throttled_payment_is_not_sent_again_once_its_id_may_be_forgotten():
    throttled = {**NOT_SENT, "sends_in_doubt": 1}
    old = {**throttled, "first_sent_at": NOW - 24 * HOUR}

    young, late = Scene(throttled), Scene(old)

    assert due_again(young.partner, now=NOW) == [young.attempt.pk]
    assert due_again(late.partner, now=NOW) == []


@pytest.mark.parametrize(
    "change",
    [{"status_id": 300}, {"principal": Decimal(1)}, {"net_disbursal_amount": Decimal(1)}],
)
def test_a_loan_that_changed_before_anything_left_goes_back_and_is_judged_anew(change):
    scene = Scene(NOT_SENT)
    scene.mifos.know(scene.loan, **change)

    attempt = scene.again()

    assert attempt.status == AttemptStatus.FAILED
    assert scene.loan.status == LoanStatus.PENDING
    assert scene.mpesa.orders == []


def test_a_loan_that_is_gone_before_anything_left_goes_back():
    scene = Scene(NOT_SENT)
    scene.mifos.loans.clear()

    assert scene.again().status == AttemptStatus.FAILED


@pytest.mark.parametrize("columns", [NOT_FOUND, {**NOT_SENT, "sends_in_doubt": 1}])
def test_a_loan_that_changed_while_money_may_have_moved_goes_to_a_person(columns):
    scene = Scene(columns)
    scene.mifos.know(scene.loan, status_id=300)

    attempt = scene.again()

    assert attempt.status == AttemptStatus.UNKNOWN
    assert scene.loan.review_reason == ReviewReason.MIFOS_CHANGED


@pytest.mark.parametrize("status", ["accepted", "paid", "completed"])
def test_a_result_that_came_in_the_meantime_is_no_alarm(status):
    scene = Scene({"status": status})

    give_up(scene.attempt.pk, now=NOW)

    assert LoanTracking.objects.get().review_reason == ""


def test_rules_that_changed_take_an_unsent_payment_back():
    scene = Scene(NOT_SENT)
    scene.partner.products.update(enabled=False)

    attempt = scene.again()

    assert (attempt.status, scene.loan.status) == (AttemptStatus.FAILED, LoanStatus.PENDING)
    assert scene.loan.error_message == HoldReason.PRODUCT_NOT_ENABLED.label


def test_rules_that_changed_leave_a_payment_in_doubt_alone():
    scene = Scene(NOT_FOUND)
    scene.partner.products.update(enabled=False)

    assert scene.again().status == AttemptStatus.UNKNOWN
    assert scene.loan.review_reason == ""
    assert scene.mpesa.orders == []


def test_a_loan_that_cannot_be_read_is_not_sent():
    scene = Scene(NOT_SENT)
    scene.mifos.loans[scene.loan.loan_id] = MifosUnreachable("away")

    assert scene.again().send_count == 1


def test_without_a_token_nothing_is_committed():
    scene = Scene(NOT_SENT)
    scene.mpesa.token_answers.append(MpesaNotSent("no way out"))
    shop = scene.shop

    assert scene.again(shop).send_count == 1
    assert shop.error == "no way out"


def test_a_closed_shop_sends_nothing_again():
    scene = Scene(NOT_SENT)
    shop = scene.shop
    shop.close("over")

    assert scene.again(shop).send_count == 1


def test_a_gate_that_closed_in_the_meantime_is_seen_under_the_lock():
    scene = Scene(NOT_SENT)
    mark_float_short("sandbox", "600000", now=NOW)

    assert scene.again().send_count == 1
    assert scene.mpesa.orders == []


def test_a_rule_that_changed_after_the_look_is_seen_under_the_lock(monkeypatch):
    scene = Scene(NOT_SENT)
    judged = resend.judge

    def then_settled(*args: Any) -> Any:
        refusal = judged(*args)
        # As two people leave it who settle an earlier attempt of it as paid.
        LoanTracking.objects.update(approval_cause=HoldReason.REOPENED)
        return refusal

    monkeypatch.setattr(resend, "judge", then_settled)

    assert scene.again().send_count == 1
    assert scene.mpesa.orders == []


def test_a_loan_in_review_is_not_sent_again():
    scene = Scene(NOT_FOUND)
    LoanTracking.objects.update(review_reason="result_mismatch")

    assert scene.again().send_count == 1


@pytest.mark.django_db(transaction=True)
def test_all_that_is_due_is_sent_again_until_the_shop_closes():
    scene = Scene(NOT_SENT)

    assert [
        report.disbursement_id for report in send_due_again(scene.shop, [scene.attempt.pk])
    ] == [scene.attempt.pk]
    closed = scene.shop
    closed.close("over")
    assert list(send_due_again(closed, [scene.attempt.pk])) == []


def test_a_payment_about_which_a_person_proposed_an_outcome_is_not_sent_again():
    scene = Scene(NOT_FOUND)
    proposal = propose(
        scene.attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement of Monday",
        by=User.objects.create(username="otieno"),
        now=NOW,
    )

    assert scene.again().send_count == 1
    assert scene.mpesa.orders == []

    withdraw(proposal.pk, by=proposal.proposed_by, now=NOW)
    assert scene.again().send_count == 2


@pytest.mark.parametrize("act", ["taken back", "changed", "given up"])
def test_what_a_gateway_turned_away_did_leave_and_gets_no_new_id(act):
    scene = Scene({**NOT_SENT, "first_sent_at": NOW - 30 * HOUR})
    note_change(
        scene.loan,
        actor="system",
        reason="Not sent: 401",
        at=NOW,
        details={"disbursement_request_id": scene.attempt.pk, "answer": "MpesaCredentials"},
    )

    if act == "taken back":
        take_back_unsent(scene.partner, now=NOW, gate=Refusal(hold=HoldReason.BREAKER_OPEN))
    elif act == "changed":
        give_up(scene.attempt.pk, now=NOW)
    else:
        take_back_unsent(scene.partner, now=NOW, gate=None)

    scene.attempt.refresh_from_db()
    assert scene.attempt.status == AttemptStatus.UNKNOWN  # M-Pesa is asked before anything else
