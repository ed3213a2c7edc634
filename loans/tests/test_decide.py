"""Holds stay true: set and lifted with an event, and read again only when they may change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.tests.making import make_loan, make_partner, make_product
from loans import decide
from loans.decide import decide_pending, set_hold
from loans.eligibility import Refusal, start_of_day
from loans.gates import gate_for
from loans.models import HoldReason, LoanApproval, LoanEvent, LoanStatus, LoanTracking
from mpesa.shortcodes import clear_float_short, mark_float_short, open_breaker
from partners.models import Partner, PayoutSwitch

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TODAY = timezone.localdate(NOW)


@pytest.fixture
def partner() -> Partner:
    partner = make_partner(rules_changed_at=NOW - timedelta(days=1))
    make_product(partner)
    return partner


def decided(partner: Partner, gate: Refusal | None = None, **changes: Any) -> None:
    now = changes.pop("now", NOW)
    decide_pending(Partner.objects.get(pk=partner.pk), gate=gate, now=now, today=TODAY)


def hold_of(loan: LoanTracking) -> str:
    return LoanTracking.objects.get(pk=loan.pk).hold_reason


def test_a_hold_is_set_once_and_lifted_once_each_with_its_event(partner):
    loan = make_loan(partner, loan_amount=99)
    partner.products.update(min_amount=100)

    for _ in range(2):
        decided(partner)
    assert hold_of(loan) == HoldReason.BELOW_MINIMUM
    assert LoanEvent.objects.count() == 1

    partner.products.update(min_amount=10)
    Partner.objects.update(rules_changed_at=NOW + timedelta(seconds=1))
    decided(partner)
    assert hold_of(loan) == ""
    assert LoanEvent.objects.filter(reason="May be paid").count() == 1


def test_a_loan_that_was_decided_is_not_looked_at_again(partner, django_assert_num_queries):
    for _ in range(5):
        make_loan(partner, decided_at=NOW)

    loaded = Partner.objects.prefetch_related("products").get()
    with django_assert_num_queries(1):
        decide_pending(loaded, gate=None, now=NOW, today=TODAY)


def test_loans_are_decided_in_chunks(partner, monkeypatch):
    monkeypatch.setattr(decide, "CHUNK", 2)
    for _ in range(5):
        make_loan(partner)
    make_loan(partner, status=LoanStatus.PROCESSING)

    decided(partner)

    assert LoanTracking.objects.filter(decided_at=NOW).count() == 5


@pytest.mark.parametrize(
    ("hold", "is_lifted"), [(HoldReason.DAILY_LIMIT, True), (HoldReason.NOT_DUE, False)]
)
def test_a_time_that_came_lifts_a_hold_unless_mifos_must_be_read_first(partner, hold, is_lifted):
    loan = make_loan(partner, hold_reason=hold, decided_at=NOW, next_attempt_at=NOW)

    decided(partner)

    assert (hold_of(loan) == "") is is_lifted


def test_a_hold_that_mifos_must_lift_is_made_due_when_our_rules_allow_the_loan(partner):
    loan = make_loan(partner, hold_reason=HoldReason.PHONE_MISSING, decided_at=None)

    decided(partner)

    loan.refresh_from_db()
    assert (loan.hold_reason, loan.next_attempt_at) == (HoldReason.PHONE_MISSING, NOW)


@pytest.mark.parametrize(
    ("refusal", "at"),
    [
        (Refusal(hold=HoldReason.CENTS), None),
        (Refusal(hold=HoldReason.PHONE_MISSING), NOW + timedelta(minutes=15)),
        (
            Refusal(hold=HoldReason.NOT_DUE, retry_on=TODAY + timedelta(days=2)),
            start_of_day(TODAY + timedelta(days=2)),
        ),
        (Refusal(hold=HoldReason.NOT_DUE, retry_on=TODAY - timedelta(days=2)), NOW),
    ],
)
def test_a_hold_knows_when_it_is_worth_another_look(refusal, at):
    loan = make_loan()

    set_hold(loan, refusal, actor="system", now=NOW)

    assert LoanTracking.objects.get().next_attempt_at == at


def test_a_hold_that_a_person_lifts_asks_for_the_approval_of_what_is_true_now(partner):
    loan = make_loan(partner, approval_cause=HoldReason.PHONE_CHANGED)
    decided(partner)
    LoanTracking.objects.update(phone_number="254711111111", decided_at=None)
    decided(partner)

    request = LoanApproval.objects.get()
    assert (request.phone_number, request.requested_by) == ("254711111111", "system")
    assert request.loan_tracking == loan


def test_a_gate_holds_every_loan_and_its_end_frees_them(partner):
    free, held = make_loan(partner, decided_at=NOW), make_loan(partner, decided_at=NOW)
    mark_float_short("sandbox", "600000", now=NOW)

    decided(partner, gate_for(partner))
    assert hold_of(free) == hold_of(held) == HoldReason.FLOAT_SHORT

    clear_float_short("sandbox", "600000", asked_at=NOW, now=NOW)
    decided(partner, gate_for(partner))
    assert hold_of(free) == hold_of(held) == ""


@pytest.mark.parametrize(
    ("column", "hold"),
    [
        ("is_paused", HoldReason.PARTNER_PAUSED),
        ("is_active", HoldReason.PARTNER_INACTIVE),
        ("mifos_auto_disbursement_enabled", HoldReason.AUTO_OFF),
    ],
)
def test_a_gate_is_read_afresh_from_the_partner(partner, column, hold):
    assert gate_for(partner) is None
    Partner.objects.update(**{column: column == "is_paused"})

    refusal = gate_for(partner)

    assert refusal is not None
    assert refusal.hold == hold


def test_the_switch_comes_before_the_breaker_and_the_breaker_before_the_float(partner):
    mark_float_short("sandbox", "600000", now=NOW)
    open_breaker("sandbox", "600000", cause="2001", now=NOW)
    stopped = gate_for(partner)
    assert stopped is not None
    assert "2001" in stopped.message

    PayoutSwitch.objects.create(pk=1, is_paused=True, paused_by="ceo", pause_reason="audit")
    paused = gate_for(partner)
    assert paused is not None
    assert "ceo: audit" in paused.message
