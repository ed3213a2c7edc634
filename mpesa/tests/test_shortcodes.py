"""Breaker, float and pace of a shortcode, as all processes see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpesa.models import Shortcode
from mpesa.shortcodes import (
    _next_slot,
    claim_balance_question,
    clear_float_short,
    mark_float_short,
    note_balance,
    open_breaker,
    reserve_slot,
    reset_breaker,
    shortcode_of,
)
from mpesa.tests.threads import at_once

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
CODE = ("sandbox", "600992")


@pytest.mark.django_db
def test_a_shortcode_is_one_row_per_environment():
    assert shortcode_of(*CODE) == shortcode_of(*CODE)
    assert shortcode_of("production", "600992") != shortcode_of(*CODE)
    assert Shortcode.objects.count() == 2


@pytest.mark.django_db
def test_the_first_cause_of_an_open_breaker_stays():
    assert open_breaker(*CODE, cause="2001 " + "x" * 400, now=NOW)
    assert not open_breaker(*CODE, cause="8006", now=LATER)

    row = shortcode_of(*CODE)
    assert row.breaker_cause.startswith("2001")
    assert row.breaker_opened_at == NOW


@pytest.mark.django_db
def test_a_reset_breaker_is_closed_and_can_open_again():
    open_breaker(*CODE, cause="2001", now=NOW)

    assert reset_breaker(*CODE)
    assert not reset_breaker(*CODE)
    assert shortcode_of(*CODE).breaker_cause == ""
    assert open_breaker(*CODE, cause="21", now=LATER)


@pytest.mark.django_db
def test_one_shortcodes_breaker_is_not_anothers():
    open_breaker(*CODE, cause="2001", now=NOW)

    assert shortcode_of("sandbox", "600993").breaker_opened_at is None


@pytest.mark.django_db
def test_an_older_balance_does_not_replace_a_younger_one():
    assert note_balance(*CODE, utility=Decimal("500.00"), now=LATER)
    assert not note_balance(*CODE, utility=Decimal("900.00"), now=NOW)

    row = shortcode_of(*CODE)
    assert (row.utility_balance, row.utility_balance_at) == (Decimal("500.00"), LATER)


@pytest.mark.django_db
def test_a_short_float_keeps_its_first_instant_until_it_is_cleared():
    assert mark_float_short(*CODE, now=NOW)
    assert not mark_float_short(*CODE, now=LATER)
    assert shortcode_of(*CODE).float_short_since == NOW

    assert not clear_float_short(*CODE, asked_at=NOW - timedelta(seconds=1), now=LATER)
    assert clear_float_short(*CODE, asked_at=NOW, now=LATER)
    assert not clear_float_short(*CODE, asked_at=NOW, now=LATER)
    assert shortcode_of(*CODE).float_short_since is None


@pytest.mark.django_db
def test_a_balance_does_not_clear_a_short_float_by_itself():
    mark_float_short(*CODE, now=NOW)
    note_balance(*CODE, utility=Decimal(10**6), now=LATER)

    assert shortcode_of(*CODE).float_short_since == NOW


@pytest.mark.django_db
def test_the_balance_is_asked_for_once_in_a_while():
    since = NOW - timedelta(minutes=1)

    assert claim_balance_question(*CODE, now=NOW, not_since=since)
    assert not claim_balance_question(*CODE, now=NOW, not_since=since)
    assert claim_balance_question(*CODE, now=LATER, not_since=NOW)


@pytest.mark.django_db
def test_slots_are_apart_by_the_pace():
    slots = [reserve_slot(*CODE, per_second=Decimal(5), now=NOW) for _ in range(3)]

    assert slots == [NOW + timedelta(milliseconds=200 * n) for n in range(3)]


@pytest.mark.django_db
def test_an_idle_shortcode_has_a_slot_at_once_and_saves_none_up():
    reserve_slot(*CODE, per_second=Decimal(5), now=NOW)

    slots = [reserve_slot(*CODE, per_second=Decimal(5), now=LATER) for _ in range(2)]

    assert slots == [LATER, LATER + timedelta(milliseconds=200)]


@pytest.mark.django_db
@pytest.mark.parametrize("pace", [Decimal(0), Decimal(-1), Decimal("NaN")])
def test_no_pace_is_an_error(pace):
    with pytest.raises((ValueError, ArithmeticError)):
        reserve_slot(*CODE, per_second=pace, now=NOW)


@pytest.mark.django_db
def test_a_clock_that_was_set_back_a_day_stops_nobody():
    reserve_slot(*CODE, per_second=Decimal(5), now=NOW + timedelta(days=1))

    assert reserve_slot(*CODE, per_second=Decimal(5), now=NOW) == NOW


@pytest.mark.django_db(transaction=True)
def test_no_two_of_many_callers_get_the_same_slot():
    slots = at_once(12, lambda: reserve_slot(*CODE, per_second=Decimal(10), now=NOW))

    assert sorted(slots) == [NOW + timedelta(milliseconds=100 * n) for n in range(12)]


@pytest.mark.django_db(transaction=True)
def test_one_of_many_opens_the_breaker():
    opened = at_once(8, lambda: open_breaker(*CODE, cause="2001", now=NOW))

    assert opened.count(True) == 1


INSTANTS = st.integers(0, 10**9).map(lambda seconds: NOW + timedelta(seconds=seconds))


@settings(deadline=None)
@given(st.none() | INSTANTS, st.floats(0.001, 1000), INSTANTS)
def test_no_slot_is_in_the_past_nor_before_it_is_free(free_at, per_second, now):
    gap = timedelta(seconds=1 / per_second)

    slot = _next_slot(free_at, gap=gap, now=now)

    assert slot >= now
    assert free_at is None or slot >= free_at or free_at - now > timedelta(hours=1)


@pytest.mark.django_db
def test_the_last_of_many_causes_is_told_whole():
    for number in range(9):
        open_breaker(*CODE, cause=f"contradiction {number} {'x' * 60}", now=NOW)

    cause = shortcode_of(*CODE).breaker_cause

    assert cause.startswith("contradiction 0")
    assert cause.endswith(f"; also: contradiction 8 {'x' * 60}")
    assert len(cause) <= 300
