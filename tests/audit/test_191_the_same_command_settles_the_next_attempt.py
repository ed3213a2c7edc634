"""AUDIT 191: one command that is run twice settles an attempt of which nobody spoke.

`resolve_review ID` names a loan. Two people settle its first attempt as "not paid", the loan is
paid again, and the same line is run once more (from the shell's history, by the second of the two
who was told to run it). It now settles attempt 2, on its way to the borrower, as proven not to have
paid: the loan is failed, nobody asks M-Pesa any more, and "pay again" pays it twice. The page
refuses that ("M-Pesa has not been silent long enough"), and settles only the attempt that it has
shown (audit 97).
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.actions import RESOLVE
from disbursements.retry import retry_loan
from disbursements.tests.making import make_attempt, make_loan
from disbursements.tests.test_pages_actions import make_user
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db
AGO = timezone.now() - timedelta(days=1)


def settle(loan: LoanTracking, *more: str) -> None:
    call_command(
        "resolve_review",
        str(loan.pk),
        *("--outcome", "not-paid", "--actor", "otieno", "--second-actor", "achieng"),
        *("--reason", "not on the statement of Monday", *more),
        stdout=StringIO(),
    )


@pytest.fixture
def paid_again() -> DisbursementRequest:
    """Attempt 2 of a loan whose attempt 1 two people have settled as not paid."""
    for name in ("otieno", "achieng"):
        make_user(name, RESOLVE)
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    make_attempt(loan, status=AttemptStatus.UNKNOWN, first_sent_at=AGO, last_sent_at=AGO)
    settle(loan)
    retry_loan(loan.pk, actor="ann.k", reason="not paid", now=timezone.now())
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.PROCESSING)
    return make_attempt(loan)


@pytest.mark.parametrize("status", [AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN])
def test_the_same_line_settles_nothing_more(
    paid_again: DisbursementRequest, status: AttemptStatus
) -> None:
    DisbursementRequest.objects.filter(pk=paid_again.pk).update(status=status)

    with pytest.raises(CommandError) as refused:
        settle(paid_again.loan_tracking)

    assert refused.value.returncode == 1
    paid_again.refresh_from_db()
    assert paid_again.status == status


def test_the_attempt_that_is_named_is_settled(paid_again: DisbursementRequest) -> None:
    DisbursementRequest.objects.filter(pk=paid_again.pk).update(status=AttemptStatus.UNKNOWN)

    settle(paid_again.loan_tracking, "--attempt", "2")

    paid_again.refresh_from_db()
    assert paid_again.status == AttemptStatus.FAILED
