"""May a loan be paid by itself? One reason for each rule of design.md 4, rules 3, 9, 11 and 13."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from disbursements.tests.peers import detail_of
from loans.eligibility import (
    LoanFacts,
    PartnerRules,
    ProductRule,
    Refusal,
    calendar_refusal,
    obstacle_of,
    refusal_for,
    start_of_day,
)
from loans.models import HoldReason, LoanTracking
from mifos.client import Calendar, Holiday, Loan

TODAY = date(2026, 11, 23)  # a Monday
FACTS = LoanFacts(
    product_id=5,
    principal=Decimal(12_500),
    net=Decimal(12_000),
    currency="KES",
    phone="254712345678",
    is_phone_shared=False,
    approved_on=TODAY,
    expected_on=TODAY,
    obstacle="",
    approval_cause="",
    approved_causes=frozenset(),
    is_held_by_staff=False,
)
PRODUCT = ProductRule(
    enabled=True, minimum=Decimal(500), maximum=Decimal(100_000), auto_approve=True
)
RULES = PartnerRules(
    is_active=True,
    is_configured=True,
    is_auto=True,
    products={5: PRODUCT},
    loan_limit=None,
    approval_threshold=None,
)
LOAN = LoanTracking(
    loan_id=7,
    client_id=3,
    product_id=5,
    loan_amount=Decimal(12_500),
    net_disbursal_amount=Decimal(12_000),
    currency="KES",
)


def refused(facts: dict[str, Any] | None = None, rules: dict[str, Any] | None = None) -> str:
    refusal = refusal_for(
        facts=replace(FACTS, **(facts or {})), rules=replace(RULES, **(rules or {})), today=TODAY
    )
    return refusal.hold.value if refusal else ""


def product(**changes: Any) -> dict[str, Any]:
    return {"products": {5: replace(PRODUCT, **changes)}}


def test_a_loan_that_breaks_no_rule_may_be_paid():
    assert refused() == ""


@pytest.mark.parametrize(
    ("facts", "hold"),
    [
        ({"is_held_by_staff": True}, "held_by_staff"),
        ({"obstacle": "top_up"}, "top_up"),
        ({"currency": "USD"}, "foreign_currency"),
        ({"net": None}, "net_unknown"),
        ({"net": Decimal("12000.50")}, "cents"),
        ({"net": Decimal(12_501)}, "net_unknown"),
        ({"net": Decimal(9), "principal": Decimal(900)}, "outside_mpesa_limits"),
        ({"net": Decimal(10), "principal": Decimal(900)}, ""),
        ({"product_id": 6}, "product_not_enabled"),
        ({"principal": Decimal("499.99"), "net": Decimal(400)}, "below_minimum"),
        ({"principal": Decimal(500), "net": Decimal(500)}, ""),
        ({"principal": Decimal(100_000)}, ""),
        ({"principal": Decimal("100000.01")}, "above_maximum"),
        ({"phone": ""}, "phone_missing"),
        ({"phone": "0202345678"}, "phone_invalid"),
        ({"phone": "2547123456789"}, "phone_invalid"),
        ({"is_phone_shared": True}, "phone_shared"),
        ({"is_phone_shared": True, "approved_causes": {"phone_shared"}}, ""),
        ({"is_phone_shared": True, "approved_causes": {"needs_approval"}}, "phone_shared"),
        ({"approved_on": date(2026, 11, 24)}, "approved_in_future"),
        ({"expected_on": date(2026, 11, 24)}, "not_due"),
        ({"approved_on": None, "expected_on": None}, ""),
        ({"approval_cause": "phone_changed"}, "phone_changed"),
        ({"approval_cause": "reopened", "approved_causes": {"reopened"}}, ""),
        ({"approval_cause": "reopened", "approved_causes": {"phone_shared"}}, "reopened"),
    ],
)
def test_each_fact_of_the_loan_has_its_reason(facts, hold):
    assert refused(facts) == hold


@pytest.mark.parametrize(
    ("rules", "hold"),
    [
        ({"is_active": False}, "partner_inactive"),
        ({"is_configured": False}, "not_configured"),
        ({"is_auto": False}, "auto_off"),
        (product(enabled=False), "product_not_enabled"),
        (product(auto_approve=False), "needs_approval"),
        ({"loan_limit": Decimal(12_499)}, "above_loan_limit"),
        ({"loan_limit": Decimal(12_500)}, ""),
        ({"approval_threshold": Decimal(12_499)}, "needs_approval"),
        ({"approval_threshold": Decimal(12_500)}, ""),
    ],
)
def test_each_rule_of_the_partner_has_its_reason(rules, hold):
    assert refused(rules=rules) == hold


def test_an_approval_covers_the_threshold_and_the_product():
    rules = {**product(auto_approve=False), "approval_threshold": Decimal(1)}

    assert refused({"approved_causes": {"needs_approval"}}, rules) == ""


@pytest.mark.parametrize(("net", "hold"), [(250_000, ""), (250_001, "outside_mpesa_limits")])
def test_m_pesa_pays_no_more_than_its_most(net, hold):
    facts = {"principal": Decimal(300_000), "net": Decimal(net)}

    assert refused(facts, product(maximum=Decimal(900_000))) == hold


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        ({}, None),
        ({"loan_type_id": 2}, HoldReason.GROUP_LOAN),
        ({"loan_type_id": 3}, HoldReason.GROUP_LOAN),
        ({"loan_type_id": None}, HoldReason.GROUP_LOAN),
        ({"client_id": None}, HoldReason.GROUP_LOAN),
        ({"is_top_up": True}, HoldReason.TOP_UP),
        ({"is_multi_disburse": True}, HoldReason.TRANCHE_LOAN),
        ({"tranche_count": 2}, HoldReason.TRANCHE_LOAN),
        ({"tranche_count": 1}, None),
        ({"has_down_payment": True}, HoldReason.DOWN_PAYMENT),
        ({"is_charged_off": True}, HoldReason.CHARGED_OFF),
        ({"is_fraud": True}, HoldReason.CHARGED_OFF),
        ({"linked_savings_id": 9}, HoldReason.LINKED_SAVINGS),
        ({"has_account_transfer_charge": True}, HoldReason.LINKED_SAVINGS),
    ],
)
def test_what_a_machine_must_not_pay_by_its_nature(change, obstacle):
    assert obstacle_of(detail_of(LOAN, **change)) == obstacle


def test_a_row_of_the_list_shows_less_and_is_judged_by_what_it_shows():
    detail = detail_of(LOAN, linked_savings_id=9)
    names = Loan.__dataclass_fields__

    assert obstacle_of(Loan(**{name: getattr(detail, name) for name in names})) is None


WEEKDAYS = frozenset(range(5))
JAMHURI = Holiday(name="Jamhuri", from_date=date(2026, 12, 12), to_date=date(2026, 12, 13))


def calendar(**changes: Any) -> Calendar:
    facts: dict[str, Any] = {
        "holidays": (JAMHURI,),
        "working_weekdays": WEEKDAYS,
        "allows_holidays": False,
        "allows_non_working_days": False,
    }
    return Calendar(**{**facts, **changes})


@pytest.mark.parametrize(
    ("day", "changes", "expected"),
    [
        ("2026-12-11", {}, None),
        ("2026-12-12", {}, (HoldReason.HOLIDAY, "2026-12-14")),
        ("2026-12-13", {}, (HoldReason.HOLIDAY, "2026-12-14")),
        ("2026-12-13", {"allows_holidays": True}, (HoldReason.NON_WORKING_DAY, "2026-12-14")),
        ("2026-12-14", {}, None),
        ("2026-11-21", {}, (HoldReason.NON_WORKING_DAY, "2026-11-22")),
        ("2026-11-21", {"allows_non_working_days": True}, None),
        ("2026-11-21", {"working_weekdays": None}, None),
    ],
)
def test_the_calendar_of_mifos_says_which_days_pay(day, changes, expected):
    refusal = calendar_refusal(calendar=calendar(**changes), on=date.fromisoformat(day))

    assert (refusal and (refusal.hold, str(refusal.retry_on))) == expected


def test_a_refusal_without_words_says_its_label():
    assert Refusal(hold=HoldReason.TOP_UP).sentence == HoldReason.TOP_UP.label
    assert Refusal(hold=HoldReason.TOP_UP, message="so").sentence == "so"


def test_a_day_begins_at_midnight_in_nairobi():
    assert start_of_day(TODAY) == datetime(2026, 11, 22, 21, tzinfo=UTC)
