"""AUDIT 111: an answer about the float that is delivered again, or late, speaks of today.

M-Pesa delivers a letter twice (C03). Read again, an old refusal of the credential stops a shortcode
that a person has just let go, and an old balance ends a shortage that came after it: the loans that
wait for the float are then paid into the same refusal.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, balance_answer, letter
from mpesa.models import CallbackKind, MpesaRequest, RequestKind
from mpesa.shortcodes import is_stopped, mark_float_short, reset_breaker, shortcode_of

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
HOUR = timedelta(hours=1)


def question(at: datetime) -> MpesaRequest:
    return ask(None, RequestKind.BALANCE, at=at, environment=PLACE[0], shortcode=PLACE[1])


def answer(request: MpesaRequest, utility: str, code: str = "0") -> None:
    apply_callback(letter(request, CallbackKind.BALANCE_RESULT, balance_answer(utility, code)).pk)


def test_a_refusal_that_is_delivered_again_stops_nothing() -> None:
    request = question(timezone.now())
    answer(request, "", "2001")
    assert is_stopped(*PLACE)
    reset_breaker(*PLACE)  # a person corrected the credential

    answer(request, "", "2001")

    assert not is_stopped(*PLACE)


def test_a_balance_that_is_delivered_again_ends_no_later_shortage() -> None:
    request = question(timezone.now() - HOUR)
    answer(request, "500000.00")
    mark_float_short(*PLACE, now=timezone.now())

    answer(request, "500000.00")

    assert shortcode_of(*PLACE).float_short_since is not None


def test_a_balance_of_before_the_shortage_does_not_end_it() -> None:
    request = question(timezone.now() - HOUR)
    mark_float_short(*PLACE, now=timezone.now())

    answer(request, "500000.00")  # it was on its way

    assert shortcode_of(*PLACE).float_short_since is not None
