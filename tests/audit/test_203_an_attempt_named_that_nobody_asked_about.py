"""AUDIT 203: `resolve_review --attempt 1` ends the review of attempt 2.

The number of an attempt may be named now (audit 191). Named is the first one, long closed as
failed and in nobody's doubt: "not paid" is taken, changes nothing of it, and ends the review of the
payment that is open, which nobody has settled. Whoever ran it reads "confirmed: not paid".
"""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus, LoanTracking, ReviewReason

pytestmark = pytest.mark.django_db(transaction=True)


def approvers() -> None:
    may = Permission.objects.get(codename="resolve_disbursementrequest")
    for name in ("otieno", "achieng"):
        User.objects.create(username=name).user_permissions.add(may)


@pytest.mark.parametrize("status", [AttemptStatus.UNKNOWN, AttemptStatus.PAID])
def test_the_review_of_the_payment_that_is_open_stays(status: AttemptStatus) -> None:
    approvers()
    review = ReviewReason.MIFOS_CHANGED
    loan = make_loan(make_partner(), status=LoanStatus.PROCESSING, review_reason=review)
    make_attempt(loan, status=AttemptStatus.FAILED, attempt_no=1, failed_at=timezone.now())
    make_attempt(loan, status=status, attempt_no=2)

    with pytest.raises(CommandError, match="attempt 2"):
        call_command(
            "resolve_review",
            str(loan.pk),
            "--attempt=1",
            "--outcome=not-paid",
            "--actor=otieno",
            "--second-actor=achieng",
            "--reason=not on the statement",
            stdout=StringIO(),
        )

    assert LoanTracking.objects.get().review_reason == review
