"""A backup remembers less than M-Pesa does."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.resend import give_up
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus, ReviewReason

pytestmark = pytest.mark.django_db


def restore() -> str:
    User.objects.get_or_create(username="otieno")
    out = StringIO()
    call_command("after_restore", "--actor", "otieno", stdout=out)
    return out.getvalue()


def test_what_the_backup_says_was_not_sent_is_asked_about_and_gets_no_new_id():
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.SUBMITTING,
        sends_in_doubt=0,
        resend_at=timezone.now() - timedelta(hours=1),
    )

    assert restore().startswith("1 unsent payments")
    give_up(attempt.pk, now=timezone.now())  # the loan changed in Mifos X meanwhile

    attempt.refresh_from_db()
    loan.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN
    assert attempt.next_query_at is not None
    assert attempt.next_query_at <= timezone.now()
    assert (loan.status, loan.review_reason) == (LoanStatus.PROCESSING, ReviewReason.MIFOS_CHANGED)
    assert LoanEvent.objects.get(to_status="unknown").details["by"] == "otieno"


@pytest.mark.parametrize(
    "status", [each for each in AttemptStatus if each != AttemptStatus.SUBMITTING]
)
def test_all_other_attempts_stay_as_they_are(status):
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING), status=status)

    assert restore().startswith("0 unsent payments")

    attempt.refresh_from_db()
    assert attempt.status == status


def test_nobody_is_not_blamed_in_the_history():
    with pytest.raises(CommandError, match="no active user 'ghost'") as refused:
        call_command("after_restore", "--actor", "ghost")

    assert refused.value.returncode == 2
