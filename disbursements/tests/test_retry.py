"""A new attempt: for a failed loan only, by its code's policy or because a person asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.policy import next_automatic_attempt
from disbursements.retry import RetryRefused, retry_by_policy, retry_loan
from disbursements.tests.making import make_attempt, make_loan
from loans.eligibility import start_of_day
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def failed(**columns: Any) -> LoanTracking:
    return make_loan(status=LoanStatus.FAILED, **columns)


def retry(loan: LoanTracking, reason: str = "fixed") -> None:
    retry_loan(loan.pk, actor="otieno", reason=reason, now=NOW)
    loan.refresh_from_db()


def test_a_failed_loan_waits_again_and_is_judged_anew():
    loan = failed(error_message="2040", hold_reason="cents", next_attempt_at=NOW)

    retry(loan)

    assert (loan.status, loan.error_message, loan.hold_reason) == ("pending_disbursement", "", "")
    assert loan.decided_at is None
    assert "otieno" in loan.events.get().actor


@pytest.mark.parametrize("status", [each for each in LoanStatus if each != LoanStatus.FAILED])
def test_a_retry_is_refused_in_every_other_status_with_the_reason(status):
    loan = make_loan(status=status)

    with pytest.raises(RetryRefused, match="cannot be retried"):
        retry(loan)


def test_a_retry_needs_a_reason_no_review_and_no_live_attempt():
    with pytest.raises(RetryRefused, match="reason is required"):
        retry(failed(), reason=" ")
    with pytest.raises(RetryRefused, match="in review"):
        retry(failed(review_reason="contradiction"))
    loan = failed()
    make_attempt(loan, status=AttemptStatus.UNKNOWN)
    with pytest.raises(RetryRefused, match="not proven dead"):
        retry(loan)


def test_only_what_is_due_and_in_nobodys_review_is_reopened_by_policy():
    due = failed(next_attempt_at=NOW)
    partner = due.partner
    make_loan(partner, status=LoanStatus.FAILED)
    make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW + timedelta(seconds=1))
    make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW, review_reason="books_differ")
    open_one = make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW)
    make_attempt(open_one, status=AttemptStatus.ACCEPTED)

    assert retry_by_policy(partner, now=NOW) == 1

    assert list(LoanTracking.objects.filter(status=LoanStatus.PENDING)) == [due]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1", "now"),
        ("4", "tomorrow"),
        ("8", "tomorrow"),
        ("2040", None),
        ("17", None),
        ("4711", None),
        ("", None),
    ],
)
def test_each_code_has_its_policy(code, expected):
    attempt = make_attempt(failed())
    tomorrow = start_of_day(timezone.localdate(NOW) + timedelta(days=1))

    at = next_automatic_attempt(attempt, code=code, now=NOW)

    assert at == {"now": NOW, "tomorrow": tomorrow, None: None}[expected]


def test_the_next_day_is_tried_once_whatever_came_before():
    loan = failed()
    make_attempt(loan, status=AttemptStatus.FAILED, result_code="1")
    second = make_attempt(loan, status=AttemptStatus.FAILED, result_code="4")
    third = make_attempt(loan, status=AttemptStatus.FAILED, result_code="8")

    assert next_automatic_attempt(second, code="4", now=NOW) is not None
    assert next_automatic_attempt(third, code="8", now=NOW) is None
