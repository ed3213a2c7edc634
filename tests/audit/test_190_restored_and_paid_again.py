"""AUDIT 190: a restored backup pays again what was paid under a later attempt's id.

"A lost attempt gets its old id again, which M-Pesa refuses to pay twice." Not if the lost attempt 1
never left (it is taken back whenever its partner may not pay, audit 6) or was refused by the
gateway: M-Pesa has never heard of its id. What paid the loan was attempt 2. After the restore the
loan is pending again, or attempt 1 is open again, and the id that M-Pesa does not know is sent:
the borrower is paid twice. (Mifos X still shows the loan waiting, for its checker takes days, or it
was down with us.)

Nor does a backup know what people decided since: a hold, a declined payout, a "not paid" that was
withdrawn because M-Pesa had spoken.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.process import due_loans, pay_loan
from disbursements.record import record_paid
from disbursements.resend import due_again, send_again, take_back_unsent
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.serve import decide_for
from disbursements.tests.books import found_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from disbursements.verdicts import Proof, Verdict
from loans.holding import release_loan
from loans.models import LoanStatus, LoanTracking
from mifos.client import AwaitingChecker
from mpesa.client import MpesaNotSent, MpesaUnknown
from partners.models import Partner
from partners.pausing import pause_partner, resume_partner
from tests.audit.test_31_mends_of_the_first import LATE, people, whole

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
NOT_FOUND = Verdict(proof=Proof.NOT_FOUND, reason="M-Pesa does not know it", code="2033")


@pytest.fixture
def partner() -> Partner:
    partner = make_partner()
    make_product(partner)
    return partner


class Rail(FakeMpesa):
    """M-Pesa remembers each id that reached it, and pays none twice."""

    paid: list[str]

    def pay(self, order: Any) -> Any:
        accepted = super().pay(order)
        if order.originator_conversation_id in self.paid:
            raise MpesaUnknown("duplicate", is_duplicate=True)
        self.paid.append(order.originator_conversation_id)
        return accepted


def make_rail() -> Rail:
    rail = Rail()
    rail.paid = []
    return rail


def back_up() -> Callable[[], None]:
    """Keep the database as it is, and return what puts it back."""
    if connection.vendor != "sqlite":
        pytest.skip("a backup in one call")
    connection.ensure_connection()
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    connection.connection.backup(kept)

    def put_back() -> None:
        kept.backup(connection.connection)

    return put_back


def after_restore() -> None:
    User.objects.get_or_create(username="jane")
    call_command("after_restore", "--actor", "jane", stdout=StringIO())


def run_pass(partner: Partner, mifos: FakeMifos, mpesa: FakeMpesa) -> None:
    partner = whole(partner)
    gate, now = decide_for(partner), timezone.now()
    take_back_unsent(partner, gate=gate, now=now)
    if gate is None:
        shop = make_shop(partner, mifos, mpesa)
        for pk in due_again(partner, now=now):
            send_again(pk, shop)
        for pk in due_loans(partner, now=now):
            pay_loan(pk, shop)
    record_paid(partner, mifos)  # type: ignore[arg-type]


def orders_after(loan: LoanTracking) -> int:
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    run_pass(loan.partner, mifos, mpesa)
    return len(mpesa.orders)


def test_a_loan_is_paid_once_though_its_first_attempt_never_left(partner: Partner) -> None:
    loan = found_loan(partner)
    mifos, mpesa = FakeMifos(), make_rail()
    mifos.know(loan)
    put_back = back_up()
    # What the backup does not know: attempt 1 cannot leave, and is taken back in a pause.
    mpesa.pay_answers.append(MpesaNotSent("no route to M-Pesa"))
    run_pass(partner, mifos, mpesa)
    pause_partner(partner, by="jane", reason="the line is down", now=timezone.now())
    run_pass(partner, mifos, mpesa)
    resume_partner(partner, by="jane", reason="it is up", now=timezone.now())
    run_pass(partner, mifos, mpesa)
    second = DisbursementRequest.objects.get(attempt_no=2)
    apply_verdict(second.pk, LATE, now=timezone.now())
    mifos.disburse_answers.append(AwaitingChecker(command_id=55))
    run_pass(partner, mifos, mpesa)
    assert mpesa.paid == [second.originator_conversation_id]

    put_back()
    after_restore()
    run_pass(partner, mifos, mpesa)

    assert len(mpesa.paid) == 1


def test_a_loan_that_was_pending_then_waits_for_a_person(partner: Partner) -> None:
    loan = make_loan(partner)
    after_restore()
    assert orders_after(loan) == 0

    release_loan(loan.pk, actor="jane", reason="not on the statement", now=timezone.now())

    assert orders_after(loan) == 1


def test_a_loan_whose_attempt_had_failed_then_is_not_paid_again_by_itself(
    partner: Partner,
) -> None:
    loan = make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=timezone.now())
    make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=timezone.now())
    # Attempt 2 never left, and attempt 3 has paid.

    after_restore()

    assert orders_after(loan) == 0


@pytest.mark.parametrize("status", [AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN])
def test_what_was_open_then_is_not_sent_again(partner: Partner, status: AttemptStatus) -> None:
    now = timezone.now()
    sent_at = now - timedelta(hours=3)
    loan = make_loan(partner, status=LoanStatus.PROCESSING, disbursement_status=status)
    waits = {"resend_at": sent_at} if status == AttemptStatus.SUBMITTING else {"sends_in_doubt": 1}
    times = {"first_sent_at": sent_at, "last_sent_at": sent_at}
    attempt = make_attempt(loan, status=status, **times, **waits)

    after_restore()
    for minutes in (30, 10):
        asked_at = now - timedelta(minutes=minutes)
        apply_verdict(attempt.pk, NOT_FOUND, asked_at=asked_at, now=timezone.now())

    assert orders_after(loan) == 0
    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN


def test_a_not_paid_of_then_is_void(partner: Partner) -> None:
    loan = make_loan(partner, status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    otieno, achieng = people()
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not on the statement of 09:00",
        by=otieno,
        now=timezone.now(),
    )

    after_restore()  # what M-Pesa said after 09:00 is lost

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=achieng, now=timezone.now())
    assert DisbursementRequest.objects.get().status == AttemptStatus.UNKNOWN
