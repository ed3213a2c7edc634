"""What campaigns found, each as the smallest test that failed then."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from disbursements.ask import call_people
from disbursements.claiming import _spent_today
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus, ReviewReason
from partners.loading import WrongFile, load_partners
from wire import Answer

NUMBER_BEYOND_ALL_MEASURE = "1e9999999999999999999999"

pytestmark = pytest.mark.django_db


def test_sending_the_same_id_again_does_not_put_off_the_call_for_a_person():
    # faults, E6/b2c/response_code/never_lands: the id was burnt, and each send began the wait anew.
    now = timezone.now()
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan,
        status=AttemptStatus.UNKNOWN,
        first_sent_at=now - timedelta(hours=25),
        last_sent_at=now - timedelta(minutes=20),
        unknown_at=now - timedelta(minutes=20),
        send_count=9,
    )

    call_people(attempt.partner, now=now)

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.OUTCOME_UNKNOWN


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no sessions")
def test_a_process_that_sleeps_inside_a_transaction_cannot_keep_its_locks_for_ever():
    # races, pause before a commit: every other pass waited for the sleeper's row lock.
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        (patience,) = cursor.fetchone()

    assert patience == "1min"


def test_an_exponent_that_no_decimal_holds_is_no_json():
    # fuzz, mifos, seed 4: InvalidOperation is no ValueError, and left the client as it was.
    body = f'{{"httpStatus": {NUMBER_BEYOND_ALL_MEASURE}}}'.encode()

    with pytest.raises(ValueError, match="beyond all measure"):
        Answer(status=200, headers={}, body=body, url="").json()


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_partner_file_with_such_a_number_is_a_wrong_file(tmp_path, suffix):
    # Found by reading on from the same find.
    path = tmp_path / f"partners.{suffix}"
    path.write_text(f'[{{"slug": "umoja", "daily_limit": {NUMBER_BEYOND_ALL_MEASURE}}}]')

    with pytest.raises(WrongFile):
        load_partners(path, now=timezone.now())


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_payment_that_is_paid_while_the_days_sum_is_read_counts_once():
    # random, seed 714: open in the first of two statements, paid in the second, counted by none.
    now = timezone.now()
    attempt = make_attempt(make_loan(), status=AttemptStatus.ACCEPTED, amount=Decimal(5300))

    def pay() -> None:
        paid = DisbursementRequest.objects.filter(pk=attempt.pk, status=AttemptStatus.ACCEPTED)
        paid.update(status=AttemptStatus.PAID, paid_at=now, transaction_receipt="TJN7RT61SV")
        connection.close()

    def pay_after_each(execute, *call):
        answer = execute(*call)
        payer = threading.Thread(target=pay)
        payer.start()
        payer.join()
        return answer

    with connection.execute_wrapper(pay_after_each):
        spent = _spent_today(attempt.partner, Q(), now=now)

    assert spent == Decimal(5300)
    assert _spent_today(attempt.partner, Q(), now=now) == Decimal(5300)
