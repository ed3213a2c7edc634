"""What a verdict may do to an attempt: the evidence rules 5 to 8, and what final means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict, ask_soon
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.tests.making import make_attempt, make_loan
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanEvent, LoanStatus, LoanTracking, ReviewReason
from mpesa.shortcodes import shortcode_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()
RECEIPT = "SGH7K2M9QD"


def attempt_in(status: str = AttemptStatus.ACCEPTED, **columns: Any) -> DisbursementRequest:
    loan_status = {
        AttemptStatus.COMPLETED: LoanStatus.DISBURSED,
        AttemptStatus.FAILED: LoanStatus.FAILED,
    }.get(AttemptStatus(status), LoanStatus.PROCESSING)
    loan = make_loan(status=loan_status)
    return make_attempt(loan, status=status, **columns)


def tell(attempt: DisbursementRequest, proof: Proof, **facts: Any) -> str:
    asked_at = facts.pop("asked_at", None)
    verdict = Verdict(proof=proof, reason=facts.pop("reason", f"it says {proof}"), **facts)
    return apply_verdict(attempt.pk, verdict, now=NOW, asked_at=asked_at)


def now_of(attempt: DisbursementRequest) -> tuple[DisbursementRequest, LoanTracking]:
    attempt.refresh_from_db()
    return attempt, LoanTracking.objects.get(pk=attempt.loan_tracking_id)


def is_stopped(attempt: DisbursementRequest) -> bool:
    row = shortcode_of(attempt.mpesa_environment, attempt.mpesa_shortcode)
    return row.breaker_opened_at is not None


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown"])
def test_a_matching_success_is_paid_and_due_for_the_record(status):
    attempt, loan = now_of(attempt_in(status))

    tell(attempt, Proof.PAID, receipt=RECEIPT, code="0")

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.PAID
    assert attempt.transaction_receipt == loan.mpesa_receipt_number == RECEIPT
    assert attempt.next_record_at == NOW
    assert loan.status == LoanStatus.PROCESSING
    assert LoanEvent.objects.filter(disbursement_request_id=attempt.pk, to_status="paid").exists()


def test_a_receipt_of_another_attempt_proves_nothing():
    first = attempt_in("paid")
    LoanTracking.objects.update(mpesa_receipt_number=first.transaction_receipt)
    second = make_attempt(make_loan(first.partner, status=LoanStatus.PROCESSING))

    said = tell(second, Proof.PAID, receipt=first.transaction_receipt)

    second, loan = now_of(second)
    assert "already belongs to another" in said
    assert second.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.RESULT_MISMATCH


def test_a_payment_that_needed_a_person_for_its_silence_needs_none_once_it_speaks():
    attempt = attempt_in("unknown")
    LoanTracking.objects.update(review_reason="outcome_unknown", review_since=NOW)

    tell(attempt, Proof.PAID, receipt=RECEIPT)

    assert now_of(attempt)[1].review_reason == ""


def test_a_payment_never_clears_a_grave_review():
    attempt = attempt_in("unknown")
    LoanTracking.objects.update(review_reason="result_mismatch", review_since=NOW)

    tell(attempt, Proof.PAID, receipt=RECEIPT)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.PAID
    assert loan.review_reason == ReviewReason.RESULT_MISMATCH


def test_a_failure_result_alone_fails_nothing_and_is_asked_about_at_once():
    attempt = attempt_in()

    tell(attempt, Proof.REPORTED_FAILED, code="2040", description="not registered")

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.status == LoanStatus.PROCESSING
    assert (attempt.result_code, attempt.next_query_at) == ("2040", NOW)


def test_a_failure_result_told_twice_is_one_report():
    attempt = attempt_in("unknown")
    tell(attempt, Proof.REPORTED_FAILED, code="2040")
    events = LoanEvent.objects.count()

    assert "reported before" in tell(attempt, Proof.REPORTED_FAILED, code="1")

    assert now_of(attempt)[0].result_code == "2040"
    assert LoanEvent.objects.count() == events


def test_declined_by_a_status_query_is_proof_that_no_money_moved():
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(hours=1))
    tell(attempt, Proof.REPORTED_FAILED, code="2040", description="not registered")

    tell(attempt, Proof.DEAD, asked_at=NOW, reason="M-Pesa's status query says Declined")

    attempt, loan = now_of(attempt)
    assert (attempt.status, loan.status) == (AttemptStatus.FAILED, LoanStatus.FAILED)
    assert "2040: not registered" in loan.error_message
    assert loan.next_attempt_at is None


def test_declined_without_a_result_is_a_failure_that_waits_for_a_person():
    attempt = attempt_in("unknown")

    tell(attempt, Proof.DEAD, asked_at=NOW)

    assert now_of(attempt)[1].next_attempt_at is None


def test_not_found_confirms_a_reported_failure_only_after_the_interval(settings):
    settings.LOANPOLL_NOT_FOUND_INTERVAL = 600
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(seconds=599))
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, Proof.NOT_FOUND, asked_at=NOW)
    assert now_of(attempt)[0].status == AttemptStatus.UNKNOWN
    assert attempt.next_query_at == NOW + timedelta(seconds=1)

    tell(attempt, Proof.NOT_FOUND, asked_at=NOW + timedelta(seconds=2))
    attempt, loan = now_of(attempt)
    assert (attempt.status, loan.status) == (AttemptStatus.FAILED, LoanStatus.FAILED)
    assert loan.next_attempt_at == NOW


def test_not_found_is_only_counted_when_no_failure_was_reported():
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(days=3))

    for days in (1, 2):
        tell(attempt, Proof.NOT_FOUND, asked_at=NOW - timedelta(days=3 - days))

    attempt, _ = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.last_not_found_at == NOW - timedelta(days=1)
    assert attempt.first_not_found_at == NOW - timedelta(days=2)


def test_not_found_answers_may_come_in_any_order():
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(hours=3))
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)

    tell(attempt, Proof.NOT_FOUND, asked_at=late)
    tell(attempt, Proof.NOT_FOUND, asked_at=early)

    attempt, _ = now_of(attempt)
    assert (attempt.first_not_found_at, attempt.last_not_found_at) == (early, late)


def test_an_answer_to_a_question_older_than_the_last_send_is_not_counted():
    attempt = attempt_in("unknown", last_sent_at=NOW)

    tell(attempt, Proof.NOT_FOUND, asked_at=NOW - timedelta(minutes=1))

    assert now_of(attempt)[0].first_not_found_at is None


def test_an_open_answer_takes_the_not_founds_away():
    attempt = attempt_in("unknown", first_not_found_at=NOW, last_not_found_at=NOW)

    tell(attempt, Proof.OPEN, asked_at=NOW)

    attempt, loan = now_of(attempt)
    assert attempt.first_not_found_at is None
    assert loan.review_reason == ""


def test_a_reported_failure_that_the_status_query_does_not_confirm_needs_a_person():
    attempt = attempt_in("unknown")
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, Proof.OPEN, asked_at=NOW, reason="M-Pesa still works on it (Pending)")

    assert now_of(attempt)[1].review_reason == ReviewReason.FAILURE_UNCONFIRMED


def test_a_question_that_failed_itself_calls_nobody():
    attempt = attempt_in("unknown")
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, Proof.OPEN, asked_at=NOW, code="26")

    assert now_of(attempt)[1].review_reason == ""


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown"])
def test_an_unclear_result_leaves_the_fate_open(status):
    attempt = attempt_in(status)

    tell(attempt, Proof.OPEN, code="17", description="Internal failure")

    attempt, loan = now_of(attempt)
    assert (attempt.status, attempt.result_code) == (AttemptStatus.UNKNOWN, "17")
    assert loan.status == LoanStatus.PROCESSING


def test_success_without_its_details_calls_a_person_until_the_status_query_has_them():
    attempt = attempt_in()

    tell(attempt, Proof.UNPROVEN, code="0")
    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.OUTCOME_UNKNOWN

    tell(attempt, Proof.PAID, receipt=RECEIPT, asked_at=NOW)
    attempt, loan = now_of(attempt)
    assert (attempt.status, loan.review_reason) == (AttemptStatus.PAID, "")


@pytest.mark.parametrize("proof", [Proof.DEAD, Proof.NOT_FOUND])
def test_after_a_success_without_details_nothing_proves_a_failure(proof):
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(days=1))
    tell(attempt, Proof.UNPROVEN, code="0")
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, proof, asked_at=NOW)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown"])
def test_a_success_of_something_else_goes_to_a_person(status):
    attempt = attempt_in(status)

    tell(attempt, Proof.MISMATCH, reason="M-Pesa paid KES 1, and we asked for 2")

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.RESULT_MISMATCH


def test_a_reported_failure_and_a_success_hold_neither_and_stop_the_shortcode():
    attempt = attempt_in()
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, Proof.PAID, receipt=RECEIPT)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(attempt)


@pytest.mark.parametrize("proof", [Proof.DEAD, Proof.NOT_FOUND])
def test_a_contradiction_is_never_turned_into_a_failure_by_a_later_answer(proof):
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(days=1))
    tell(attempt, Proof.REPORTED_FAILED, code="1")
    tell(attempt, Proof.PAID, receipt=RECEIPT)

    tell(attempt, proof, asked_at=NOW)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.status == LoanStatus.PROCESSING
    assert loan.review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("proof", [Proof.DEAD, Proof.NOT_FOUND])
def test_a_mismatch_is_never_turned_into_a_failure_by_a_later_answer(proof):
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(days=1))
    tell(attempt, Proof.MISMATCH)
    tell(attempt, Proof.REPORTED_FAILED, code="1")

    tell(attempt, proof, asked_at=NOW)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.UNKNOWN
    assert loan.review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("status", ["paid", "completed"])
def test_the_same_success_again_changes_nothing(status):
    attempt = attempt_in(status)
    events = LoanEvent.objects.count()

    tell(attempt, Proof.PAID, receipt=attempt.transaction_receipt)
    tell(attempt, Proof.OPEN)
    tell(attempt, Proof.NOT_FOUND, asked_at=NOW)
    tell(attempt, Proof.UNPROVEN)

    assert LoanEvent.objects.count() == events
    assert now_of(attempt)[0].status == status


@pytest.mark.parametrize("status", ["paid", "completed"])
@pytest.mark.parametrize("proof", [Proof.REPORTED_FAILED, Proof.DEAD, Proof.MISMATCH])
def test_after_payment_a_failure_only_raises_an_alarm(status, proof):
    attempt = attempt_in(status)

    tell(attempt, proof)

    attempt, loan = now_of(attempt)
    assert attempt.status == status
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(attempt)


def test_after_payment_another_receipt_is_an_alarm():
    attempt = attempt_in("paid")

    tell(attempt, Proof.PAID, receipt=RECEIPT)

    attempt, loan = now_of(attempt)
    assert attempt.transaction_receipt != RECEIPT
    assert loan.review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("proof", [Proof.PAID, Proof.MISMATCH, Proof.UNPROVEN])
def test_after_a_proven_failure_a_success_is_an_alarm_and_stops_everything(proof):
    attempt = attempt_in("failed")

    tell(attempt, proof, receipt=RECEIPT)

    attempt, loan = now_of(attempt)
    assert attempt.status == AttemptStatus.FAILED
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert is_stopped(attempt)


@pytest.mark.parametrize("proof", [Proof.DEAD, Proof.REPORTED_FAILED, Proof.NOT_FOUND, Proof.OPEN])
def test_after_a_proven_failure_more_of_the_same_is_nothing(proof):
    attempt = attempt_in("failed", result_code="2040")

    assert "nothing to do" in tell(attempt, proof)
    assert not is_stopped(attempt)


def test_a_result_that_comes_after_the_proof_says_why_and_what_follows():
    attempt = attempt_in("unknown", last_sent_at=NOW - timedelta(hours=1))
    tell(attempt, Proof.DEAD, asked_at=NOW)

    tell(attempt, Proof.REPORTED_FAILED, code="1", reason="M-Pesa reports failure 1: no float")

    attempt, loan = now_of(attempt)
    assert (attempt.result_code, loan.next_attempt_at) == ("1", NOW)
    assert "no float" in loan.error_message


def test_a_late_reason_of_an_earlier_attempt_moves_nothing():
    first = attempt_in("failed")
    make_attempt(first.loan_tracking, status="failed", result_code="2040")

    tell(first, Proof.REPORTED_FAILED, code="1")

    first, loan = now_of(first)
    assert (first.result_code, loan.next_attempt_at) == ("1", None)


@pytest.mark.parametrize(("status", "is_asked"), [("accepted", True), ("paid", False)])
def test_only_an_open_payment_is_asked_about_sooner(status, is_asked):
    attempt = attempt_in(status)

    ask_soon(attempt.pk, reason="A letter cannot be read", now=NOW)

    assert (now_of(attempt)[0].next_query_at == NOW) is is_asked


@pytest.mark.parametrize("proof", [Proof.DEAD, Proof.REPORTED_FAILED])
def test_an_unclear_result_does_not_make_a_success_forgotten(proof):
    attempt = attempt_in("unknown")
    tell(attempt, Proof.UNPROVEN, code="0")
    tell(attempt, Proof.OPEN, code="17")

    tell(attempt, proof)

    attempt, loan = now_of(attempt)
    assert (attempt.status, attempt.failure_reported_at) == (AttemptStatus.UNKNOWN, None)
    assert loan.review_reason == ReviewReason.CONTRADICTION


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown"])
def test_an_answer_from_before_the_last_send_proves_nothing_of_that_send(status):
    attempt = attempt_in(status, send_count=2, last_sent_at=NOW)

    tell(attempt, Proof.DEAD, asked_at=NOW - timedelta(hours=1))
    assert now_of(attempt)[0].status == status

    tell(attempt, Proof.DEAD, asked_at=NOW + timedelta(minutes=5))
    assert now_of(attempt)[0].status == AttemptStatus.FAILED
