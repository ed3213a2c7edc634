"""What staff are told of: read from the tables, in words without clients and phones."""

from __future__ import annotations

import ast
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.alerts.conditions import REFUSED_LOGINS, Condition, review_standing
from disbursements.models import AlertKind, ApiKey
from disbursements.reconcile.follow_up import ACTOR as RECONCILE
from disbursements.tests.making import make_loan, make_partner
from mpesa.models import MpesaEnvironment
from mpesa.shortcodes import mark_float_short, note_balance, open_breaker, shortcode_of
from partners.models import Partner, PayoutSwitch
from partners.pausing import pause_all

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SANDBOX = (MpesaEnvironment.SANDBOX, "600000")
MIFOS = Path(__file__).resolve().parents[2] / "mifos"
LATE = timedelta(seconds=300 + 600)


def found() -> list[Condition]:
    return review_standing(NOW)


def only() -> Condition:
    [condition] = found()
    return condition


def test_a_house_in_order_has_nothing_to_say():
    make_loan(make_partner())

    assert found() == []


def test_a_loan_that_needs_a_person_is_named_by_its_number_alone():
    loan = make_loan(
        review_reason="double_payment", client_name="Kamau Peter", phone_number="254722000114"
    )

    condition = only()

    assert condition.kind == AlertKind.LOAN_REVIEW
    assert condition.loan_id == loan.loan_id
    assert condition.text == "Possible double payment"
    assert "Kamau" not in repr(condition)
    assert "000114" not in repr(condition)


def test_a_graver_cause_is_another_mark_of_the_same_loan():
    loan = make_loan(review_reason="outcome_unknown")
    before = only()
    loan.review_reason = "double_payment"
    loan.save()

    assert only().key == before.key
    assert only().mark != before.mark


def test_a_short_float_is_told_with_what_is_left():
    make_partner()
    mark_float_short(*SANDBOX, now=NOW)
    note_balance(*SANDBOX, utility=Decimal(390), now=NOW)

    assert only().kind == AlertKind.FLOAT_SHORT
    assert only().about == "Shortcode 600000 (sandbox)"
    assert "KSh 390" in only().text


def test_an_open_breaker_is_told_with_its_cause_on_one_line():
    make_partner()
    open_breaker(*SANDBOX, cause="2001: the initiator\n is wrong", now=NOW)

    assert only().kind == AlertKind.BREAKER_OPEN
    assert "2001: the initiator is wrong" in only().text


@pytest.mark.parametrize("partner", [{"mpesa_shortcode": "700000"}, {"is_active": False}])
def test_a_shortcode_that_nobody_active_uses_calls_nobody(partner):
    make_partner(**partner)
    shortcode_of(*SANDBOX)
    mark_float_short(*SANDBOX, now=NOW)
    open_breaker(*SANDBOX, cause="2001", now=NOW)

    assert found() == []


@pytest.mark.parametrize(("age", "kinds"), [(LATE, []), (LATE * 2, [AlertKind.PARTNER_LATE])])
def test_a_partner_is_late_after_interval_and_grace(age, kinds):
    make_partner(last_poll_succeeded_at=NOW - age, last_error="Mifos X did not answer in time")

    assert [condition.kind for condition in found()] == kinds


def test_a_partner_that_was_never_polled_is_late_too():
    partner = make_partner(last_poll_succeeded_at=None)
    Partner.objects.update(rules_changed_at=NOW - LATE * 2)

    assert (only().about, only().text) == (partner.name, "never polled")


@pytest.mark.parametrize("switch", ["is_active", "is_mifos_configured"])
def test_a_partner_that_is_not_polled_is_not_late(switch):
    make_partner(last_poll_succeeded_at=NOW - LATE * 2, **{switch: False})

    assert found() == []


def test_a_refused_login_is_told_at_once_and_instead_of_the_lateness_it_causes():
    make_partner(
        last_error="Mifos X does not accept the user name and password",
        last_poll_succeeded_at=NOW - LATE * 2,
    )

    assert only().kind == AlertKind.LOGIN_REFUSED


def test_every_refused_login_of_the_client_is_known_here():
    said = [
        str(node.args[0].value)
        for file in MIFOS.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "MifosCredentials"
        and isinstance(node.args[0], ast.Constant)
    ]

    assert len(said) == len(REFUSED_LOGINS)
    assert all(text.startswith(REFUSED_LOGINS) for text in said)


@pytest.mark.parametrize(
    ("days", "mark"), [(74, None), (75, "soon"), (89, "soon"), (90, "over"), (200, "over")]
)
def test_an_mpesa_credential_is_told_at_75_days_and_again_at_90(days, mark):
    make_partner(mpesa_credential_set_at=NOW - timedelta(days=days))

    assert [condition.mark for condition in found()] == ([mark] if mark else [])


@pytest.mark.parametrize(("days", "mark"), [(20, None), (5, "soon"), (-1, "over")])
def test_an_api_key_is_told_before_it_ends_and_when_it_ends(days, mark):
    ApiKey.objects.create_key(name="erp", expiry_date=NOW + timedelta(days=days))

    assert [condition.mark for condition in found()] == ([mark] if mark else [])


def test_a_revoked_api_key_calls_nobody():
    ApiKey.objects.create_key(name="erp", expiry_date=NOW, revoked=True)

    assert found() == []


def test_a_stop_by_the_check_of_our_own_book_is_told_and_a_persons_is_not():
    pause_all(by="p.njoroge", reason="fire drill", now=NOW)
    assert found() == []

    PayoutSwitch.objects.update(paused_by=RECONCILE, pause_reason="1 breach, call 0722000114")
    assert only().kind == AlertKind.ALL_PAUSED
    assert "0722 ***114" in only().text


def test_the_look_costs_the_same_statements_however_much_is_wrong(django_assert_num_queries):
    for _ in range(5):
        make_loan(
            make_partner(
                last_error="Mifos X does not know the tenant",
                mpesa_credential_set_at=NOW - timedelta(days=80),
            ),
            review_reason="outcome_unknown",
        )
    mark_float_short(*SANDBOX, now=NOW)

    with django_assert_num_queries(6):
        assert len(found()) == 16
