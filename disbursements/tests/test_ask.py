"""Asking M-Pesa: who is asked about, when, and what a question that fails may change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements import ask, moves
from disbursements.ask import (
    ask_one,
    ask_the_silent,
    call_people,
    doubt_the_dead,
    due_to_ask,
    longest_send,
)
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.schedule import next_question_at
from disbursements.tests.making import make_attempt, make_loan
from disbursements.tests.peers import FakeMpesa
from loans.models import LoanEvent, LoanStatus, LoanTracking, ReviewReason
from mpesa.client import MpesaCredentials, MpesaUnknown
from mpesa.models import MpesaRequest
from mpesa.shortcodes import open_breaker, shortcode_of
from partners.models import Partner

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)


def silent(**columns: Any) -> DisbursementRequest:
    facts = {"next_query_at": NOW - HOUR, "first_sent_at": NOW - HOUR, "last_sent_at": NOW - HOUR}
    return make_attempt(make_loan(status=LoanStatus.PROCESSING), **{**facts, **columns})


def peer(*answers: Any) -> Any:
    mpesa = FakeMpesa()
    mpesa.status_answers.extend(answers)
    return mpesa


@pytest.mark.parametrize(
    ("columns", "is_due"),
    [
        ({}, True),
        ({"status": AttemptStatus.UNKNOWN}, True),
        ({"next_query_at": NOW + HOUR}, False),
        ({"next_query_at": None}, False),
        ({"status": AttemptStatus.PAID}, False),
        ({"status": AttemptStatus.SUBMITTING}, False),
        ({"mpesa_shortcode": "600001"}, False),  # another shortcode knows nothing of this id
    ],
)
def test_only_silent_payments_of_this_shortcode_are_asked_about(columns, is_due):
    attempt = silent(**columns)

    assert (due_to_ask(attempt.partner, now=NOW) == [attempt.pk]) is is_due


def test_a_question_is_committed_before_it_leaves_and_is_put_off():
    attempt, mpesa = silent(), peer()

    assert ask_one(attempt.pk, mpesa)

    attempt.refresh_from_db()
    [question] = mpesa.questions
    assert question.originator_conversation_id == attempt.originator_conversation_id
    assert attempt.query_count == 1
    assert attempt.next_query_at is not None
    assert attempt.next_query_at > NOW
    assert MpesaRequest.objects.get().conversation_id == "AQ_1"
    assert "question 1" in LoanEvent.objects.get().reason


def test_a_payment_that_was_settled_or_asked_about_meanwhile_is_not_asked_about():
    settled, asked = silent(status=AttemptStatus.PAID), silent(next_query_at=NOW + HOUR)

    assert not ask_one(settled.pk, peer())
    assert not ask_one(asked.pk, peer())
    assert not MpesaRequest.objects.exists()


def test_a_question_that_did_not_arrive_is_asked_again_soon():
    attempt = silent(first_sent_at=NOW - 30 * HOUR, last_sent_at=NOW - 30 * HOUR)

    assert not ask_one(attempt.pk, peer(MpesaUnknown("no answer")))

    attempt.refresh_from_db()
    assert attempt.next_query_at is not None
    assert attempt.next_query_at <= timezone.now() + timedelta(seconds=300)
    assert attempt.status == AttemptStatus.ACCEPTED
    assert MpesaRequest.objects.get().outcome == "no answer"


def test_a_question_that_leaves_late_is_not_sent(monkeypatch):
    """Two not-founds ten minutes apart must be answers to questions that were so far apart."""
    attempt, mpesa = silent(), peer()

    def a_nap() -> None:
        later = timezone.now() + timedelta(minutes=10)
        monkeypatch.setattr(ask.timezone, "now", lambda: later)

    monkeypatch.setattr(ask, "leave_database", a_nap)

    assert not ask_one(attempt.pk, mpesa)
    assert mpesa.questions == []
    assert "stood still" in MpesaRequest.objects.get().outcome


def test_a_refused_credential_stops_the_shortcode_and_all_questions():
    attempt = silent()

    assert not ask_one(attempt.pk, peer(MpesaCredentials("refused")))

    assert shortcode_of("sandbox", "600000").is_credential_refused
    mpesa = peer()
    DisbursementRequest.objects.update(next_query_at=NOW)
    assert ask_the_silent(attempt.partner, mpesa) == 0
    assert mpesa.questions == []


@pytest.mark.django_db(transaction=True)
def test_all_that_is_due_is_asked_about_even_while_payments_are_stopped():
    attempt = silent()
    open_breaker("sandbox", "600000", cause="contradiction", now=NOW, is_credential_refused=False)

    assert ask_the_silent(attempt.partner, peer()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_silent_m_pesa_is_not_asked_about_every_loan_there_is():
    partner = silent().partner
    Partner.objects.update(mifos_concurrency=1)
    for _ in range(6):
        make_attempt(make_loan(partner), next_query_at=NOW - HOUR)
    partner.refresh_from_db()
    mpesa = peer(*[MpesaUnknown("no answer")] * 7)

    assert ask_the_silent(partner, mpesa) == 0
    assert len(mpesa.questions) == 3


@pytest.mark.parametrize(
    ("columns", "is_doubted"),
    [
        ({"sends_in_doubt": 1}, True),
        ({"sends_in_doubt": 1, "last_sent_at": None, "created_at": NOW - HOUR}, True),
        ({"sends_in_doubt": 1, "last_sent_at": NOW}, False),
        ({"sends_in_doubt": 0, "resend_at": NOW}, False),
        ({"sends_in_doubt": 1, "resend_at": NOW}, False),
        ({"sends_in_doubt": 1, "resend_at": NOW, "first_sent_at": NOW - 24 * HOUR}, True),
        ({"status": AttemptStatus.ACCEPTED}, False),
    ],
)
def test_a_send_that_nobody_answers_for_is_doubted_and_asked_about(columns, is_doubted):
    attempt = silent(**{"status": AttemptStatus.SUBMITTING, **columns})

    doubt_the_dead(attempt.partner, now=NOW)

    attempt.refresh_from_db()
    assert (attempt.status == AttemptStatus.UNKNOWN) is is_doubted
    assert (attempt.next_query_at == NOW) is is_doubted


def test_a_send_is_given_the_time_that_it_may_take(settings):
    settings.LOANPOLL_HTTP_CONNECT_TIMEOUT = 1
    settings.LOANPOLL_HTTP_READ_TIMEOUT = 2
    settings.LOANPOLL_RECHECK_MAX_AGE = 10

    assert longest_send() == timedelta(seconds=22)


def test_a_day_without_a_verdict_calls_a_person_once():
    old = silent(status=AttemptStatus.UNKNOWN, first_sent_at=NOW - 25 * HOUR)
    young = silent()

    for _ in range(2):
        call_people(old.partner, now=NOW)
        call_people(young.partner, now=NOW)

    reviewed = LoanTracking.objects.exclude(review_reason="").get()
    assert reviewed == old.loan_tracking
    assert reviewed.review_reason == ReviewReason.OUTCOME_UNKNOWN
    assert LoanEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("minutes", "next_minutes"), [(0, 5), (5, 15), (15, 60), (60, 360), (360, 1440)]
)
def test_questions_come_at_5_15_60_minutes_6_and_24_hours(minutes, next_minutes):
    attempt = silent(last_sent_at=NOW - timedelta(minutes=minutes))

    later = timedelta(minutes=next_minutes - minutes)
    assert next_question_at(attempt, now=NOW) == NOW + later


def test_after_a_day_the_question_comes_daily():
    attempt = silent(last_sent_at=NOW - 25 * HOUR)

    assert next_question_at(attempt, now=NOW) == NOW + 24 * HOUR


def test_the_second_question_after_not_found_comes_when_it_can_allow_a_second_send():
    attempt = silent(last_sent_at=NOW - HOUR / 2, first_not_found_at=NOW)
    assert next_question_at(attempt, now=NOW) == NOW + HOUR / 2

    attempt = silent(last_sent_at=NOW - 2 * HOUR, first_not_found_at=NOW)
    assert next_question_at(attempt, now=NOW) == NOW + timedelta(minutes=10)

    attempt = silent(last_sent_at=NOW - 2 * HOUR, first_not_found_at=NOW - HOUR)
    assert next_question_at(attempt, now=NOW) == NOW + 4 * HOUR


def test_an_attempt_without_a_send_time_counts_from_its_row():
    attempt = silent(last_sent_at=None, first_not_found_at=NOW, created_at=NOW)

    assert next_question_at(attempt, now=NOW) == NOW + timedelta(minutes=5)


def test_an_answer_that_comes_just_before_the_doubt_wins(monkeypatch):
    attempt = silent(status=AttemptStatus.SUBMITTING, sends_in_doubt=1)
    locked = moves.locked_attempt

    def meanwhile(pk: int) -> Any:
        DisbursementRequest.objects.update(status=AttemptStatus.ACCEPTED)
        return locked(pk)

    monkeypatch.setattr(ask, "locked_attempt", meanwhile)

    doubt_the_dead(attempt.partner, now=NOW)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.ACCEPTED
