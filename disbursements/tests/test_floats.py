"""The float: asked for while it is short, and enough only when it covers the next loan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements.floats import ask_balance_if_short, next_amount, take_balance
from disbursements.tests.letters import ask
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMpesa
from loans.models import HoldReason, LoanStatus
from mpesa.client import MpesaNotSent
from mpesa.models import MpesaRequest, RequestKind
from mpesa.results import BalanceResult
from mpesa.shortcodes import mark_float_short, open_breaker, shortcode_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()
PLACE = ("sandbox", "600000")


def balance(utility: int | None, code: str = "0") -> BalanceResult:
    amount = None if utility is None else Decimal(utility)
    return BalanceResult(code=code, description="", conversation_id="", utility_balance=amount)


def told(result: BalanceResult) -> bool:
    """Tell a balance; is the queue still paused?"""
    request = ask(None, RequestKind.BALANCE, environment=PLACE[0], shortcode=PLACE[1])
    take_balance(request, result, now=NOW)
    return shortcode_of(*PLACE).float_short_since is not None


def mpesa(**answers: Any) -> Any:
    return FakeMpesa(**answers)


def test_nobody_asks_while_the_float_suffices():
    assert not ask_balance_if_short(make_partner(), mpesa(), now=NOW)


def test_the_balance_is_asked_for_once_an_interval():
    partner, peer = make_partner(), mpesa()
    mark_float_short(*PLACE, now=NOW)

    asked = [
        ask_balance_if_short(partner, peer, now=NOW + timedelta(seconds=later))
        for later in (0, 59, 60)
    ]

    assert asked == [True, False, True]
    assert MpesaRequest.objects.filter(conversation_id="AB_1").exists()


def test_a_stopped_shortcode_asks_nothing():
    mark_float_short(*PLACE, now=NOW)
    open_breaker(*PLACE, cause="2001", now=NOW)

    assert not ask_balance_if_short(make_partner(), mpesa(), now=NOW)


def test_a_question_that_did_not_leave_is_noted():
    mark_float_short(*PLACE, now=NOW)
    peer = mpesa()
    peer.balance_answers.append(MpesaNotSent("no way out"))

    assert not ask_balance_if_short(make_partner(), peer, now=NOW)
    assert MpesaRequest.objects.get().outcome == "no way out"


@pytest.mark.parametrize(("utility", "is_short"), [(12_499, True), (12_500, False)])
def test_the_queue_goes_on_when_the_oldest_waiting_loan_is_covered(utility, is_short):
    mark_float_short(*PLACE, now=NOW)
    partner = make_partner()
    make_loan(partner, hold_reason=HoldReason.FLOAT_SHORT)
    make_loan(partner, hold_reason=HoldReason.FLOAT_SHORT, loan_amount=Decimal(90_000))

    assert told(balance(utility)) is is_short


def test_a_loan_whose_shortage_is_not_confirmed_yet_still_needs_its_float():
    mark_float_short(*PLACE, now=NOW)
    loan = make_loan(status=LoanStatus.PROCESSING)
    make_attempt(loan, status="unknown", result_code="1", failure_reported_at=NOW)

    assert told(balance(12_499))
    assert not told(balance(12_500))


def test_loans_that_wait_for_another_day_or_a_person_need_no_float_now():
    partner = make_partner()
    later = NOW + timedelta(hours=9)
    make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=later)
    make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW, review_reason="contradiction")
    assert next_amount(*PLACE, now=NOW) is None

    make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW)
    assert next_amount(*PLACE, now=NOW) == 12_500


def test_no_balance_ends_no_shortage():
    mark_float_short(*PLACE, now=NOW)

    assert told(balance(None))
    assert told(balance(9_000_000, code="26"))
    assert shortcode_of(*PLACE).breaker_opened_at is None


def test_a_balance_question_that_our_credential_fails_stops_the_shortcode():
    mark_float_short(*PLACE, now=NOW)

    assert told(balance(None, code="2001"))
    assert shortcode_of(*PLACE).is_credential_refused
