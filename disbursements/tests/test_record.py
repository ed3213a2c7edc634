"""Recording: read first, post once, believe only what a read shows, and never pay."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements.checker import tell_again
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import locked_attempt
from disbursements.record import Books, record_one, record_paid
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_receipt
from disbursements.tests.peers import FakeMifos, detail_of, disbursal_of
from loans.models import LoanEvent, LoanStatus, LoanTracking, ReviewReason
from mifos.client import (
    AwaitingChecker,
    CommandState,
    MifosBusy,
    MifosCredentials,
    MifosRefused,
    MifosUncertain,
    MifosUnreachable,
)
from partners.models import Partner

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def make_paid_loan(partner: Partner) -> LoanTracking:
    return make_loan(partner, status=LoanStatus.PROCESSING, mpesa_receipt_number=make_receipt())


class Scene:
    """One paid attempt and the Mifos X that shall hear of it."""

    def __init__(self, **columns: Any) -> None:
        self.partner = make_partner()
        self.loan = make_paid_loan(self.partner)
        facts = {"status": AttemptStatus.PAID, "next_record_at": NOW - timedelta(hours=1)}
        self.attempt = make_attempt(self.loan, **{**facts, **columns})
        self.mifos: Any = FakeMifos()
        self.shows()

    def shows(self, *steps: dict[str, Any]) -> None:
        """Let Mifos X show the loan in these ways, one read after another."""
        details = [detail_of(self.loan, **step) for step in steps or ({}, self.recorded())]
        self.mifos.loans[self.loan.loan_id] = details

    def recorded(self, **changes: Any) -> dict[str, Any]:
        row = disbursal_of(self.attempt, **changes)
        return {"status_id": 300, "disbursals": (row,)}

    def record(self) -> bool:
        DisbursementRequest.objects.update(next_record_at=NOW - timedelta(hours=1))
        done = record_one(self.attempt.pk, Books(partner=self.partner, mifos=self.mifos))
        self.attempt.refresh_from_db()
        self.loan.refresh_from_db()
        return done

    def answers(self, *answers: Any) -> None:
        self.mifos.disburse_answers.extend(answers)


def test_a_payment_is_posted_gross_with_its_receipt_and_verified():
    scene = Scene(amount=Decimal(12_000))

    assert scene.record()

    [order] = scene.mifos.orders
    assert order.principal == 12_500
    assert order.receipt_number == scene.attempt.transaction_receipt
    assert order.external_id == scene.attempt.mifos_external_id
    assert order.account_number == scene.attempt.msisdn
    assert order.payment_type_id == 1
    assert order.idempotency_key.endswith(":1")
    assert (scene.attempt.status, scene.loan.status) == ("completed", LoanStatus.DISBURSED)
    assert scene.loan.disbursed_at is not None


def test_what_is_there_already_is_not_posted_again():
    scene = Scene()
    scene.shows(scene.recorded())

    assert scene.record()
    assert scene.mifos.orders == []


def test_an_old_server_without_external_ids_is_known_by_the_receipt():
    scene = Scene()
    scene.shows(scene.recorded(external_id=""))

    assert scene.record()


def test_a_disbursal_of_another_is_a_possible_double_payment():
    scene = Scene()
    scene.shows(scene.recorded(external_id="", receipt_number="HAND"))

    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.DOUBLE_PAYMENT
    assert scene.attempt.status == AttemptStatus.PAID


def test_a_disbursal_of_ours_that_was_undone_is_never_posted_again():
    scene = Scene()
    row = disbursal_of(scene.attempt, is_reversed=True)
    scene.shows({"disbursals": (row,)})

    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT
    assert scene.mifos.orders == []


def test_another_amount_in_mifos_is_recorded_and_shown_to_a_person():
    scene = Scene()
    scene.shows(scene.recorded(amount=Decimal(1)))

    assert scene.record()
    assert scene.loan.status == LoanStatus.DISBURSED
    assert scene.loan.review_reason == ReviewReason.BOOKS_DIFFER


def test_a_principal_that_changed_is_not_posted():
    scene = Scene()
    scene.shows({"principal": Decimal(9000)})

    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.MIFOS_CHANGED
    assert scene.mifos.orders == []


def test_a_loan_that_waits_no_more_without_a_disbursal_needs_a_person():
    scene = Scene()
    scene.shows({"status_id": 400})

    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED


def test_a_loan_that_is_gone_needs_a_person():
    scene = Scene()
    scene.mifos.loans.clear()

    assert not scene.record()
    assert "no longer knows" in scene.loan.error_message


def test_a_mifos_that_cannot_be_read_is_tried_again_later_and_said_once():
    scene = Scene()
    scene.mifos.loans[scene.loan.loan_id] = MifosUnreachable("away")

    assert not scene.record()
    assert not scene.record()

    assert scene.attempt.record_tries == 2
    assert scene.attempt.next_record_at is not None
    assert scene.attempt.next_record_at > timezone.now() + timedelta(seconds=100)
    assert LoanEvent.objects.count() == 1


@pytest.mark.parametrize("answer", [MifosUncertain("lost"), MifosBusy("locked", http_status=409)])
def test_an_unclear_post_keeps_its_key_and_its_date_for_the_next_try(answer):
    scene = Scene()
    scene.shows({})
    scene.answers(answer)

    assert not scene.record()
    scene.record()

    first, second = scene.mifos.orders
    assert (first.idempotency_key, first.on) == (second.idempotency_key, second.on)
    assert scene.loan.review_reason == ""


def test_an_error_that_would_be_replayed_for_ever_gets_a_new_key():
    scene = Scene()
    scene.shows({})
    scene.answers(MifosBusy("conflict", http_status=409, replayed=True))

    scene.record()

    assert scene.attempt.record_key_no == 2


def test_a_refusal_is_looked_up_before_it_is_believed():
    scene = Scene()
    scene.answers(MifosRefused("not in that state", code="x"))

    assert scene.record()
    assert scene.attempt.status == AttemptStatus.COMPLETED


def test_a_refusal_for_good_pages_a_person_and_is_tried_again_with_a_new_key():
    scene = Scene()
    scene.shows({})
    scene.answers(MifosRefused("closed for that date", code="x"))

    assert not scene.record()

    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
    assert (scene.attempt.record_key_no, scene.attempt.record_date) == (2, None)
    scene.shows()
    assert scene.record()
    assert scene.loan.review_reason == ""
    assert scene.mifos.orders[-1].idempotency_key.endswith(":2")


def test_busy_for_an_hour_pages_a_person_and_a_changed_password_does_not():
    scene = Scene(paid_at=NOW - timedelta(hours=2))
    scene.shows({})
    scene.answers(MifosCredentials("password"), MifosBusy("locked", http_status=409))

    scene.record()
    assert scene.loan.review_reason == ""
    scene.record()
    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED


def test_a_success_that_does_not_show_is_looked_for_again():
    scene = Scene()
    scene.shows({}, {}, scene.recorded())

    assert not scene.record()
    assert "does not show it yet" in scene.loan.error_message
    assert scene.record()
    assert len(scene.mifos.orders) == 1


def test_a_command_that_awaits_its_checker_is_waited_for_and_not_posted_again():
    scene = Scene()
    scene.shows({})
    scene.answers(AwaitingChecker(command_id=5))

    assert not scene.record()
    assert not scene.record()

    assert len(scene.mifos.orders) == 1
    assert scene.attempt.mifos_command_id == 5
    assert scene.loan.review_reason == ""


def test_a_checker_who_does_not_answer_for_a_day_is_called_out():
    scene = Scene(mifos_command_id=5, paid_at=NOW - timedelta(hours=25))
    scene.shows({})

    scene.record()

    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED


def test_a_checker_who_rejects_is_a_persons_matter():
    scene = Scene(mifos_command_id=5)
    scene.shows({})
    scene.mifos.states.append(CommandState.REJECTED)

    scene.record()

    assert scene.loan.review_reason == ReviewReason.CHECKER_REJECTED
    assert scene.mifos.orders == []


def test_a_command_that_was_deleted_is_a_persons_matter():
    scene = Scene(mifos_command_id=5)
    scene.shows({})
    scene.mifos.states.append(CommandState.GONE)

    scene.record()

    assert scene.loan.review_reason == ReviewReason.CHECKER_REJECTED
    assert scene.mifos.orders == []


def test_what_the_checker_refused_is_posted_anew_on_a_persons_word():
    scene = Scene(mifos_command_id=5)
    scene.shows({})
    scene.mifos.states.append(CommandState.REJECTED)
    scene.record()
    scene.answers(AwaitingChecker(command_id=6))

    for _ in ("told", "pressed once more"):
        with locked_attempt(scene.attempt.pk) as (current, loan):
            tell_again(current, loan, actor="asha", now=NOW)
    assert LoanTracking.objects.get().review_reason == ""
    scene.record()

    [order] = scene.mifos.orders
    assert order.idempotency_key.endswith(":2")
    assert scene.attempt.mifos_command_id == 6
    assert "waits for a checker" in scene.loan.error_message


def test_a_command_of_another_loan_was_never_ours_and_ours_is_posted_again():
    scene = Scene(mifos_command_id=5)
    scene.shows({}, {}, scene.recorded())
    scene.mifos.states.append(CommandState.OF_ANOTHER_LOAN)

    assert not scene.record()
    assert scene.record()

    assert [order.loan_id for order in scene.mifos.orders] == [scene.loan.loan_id]


def test_what_a_checker_approved_a_moment_ago_is_seen_at_once():
    scene = Scene(mifos_command_id=5)
    scene.shows({}, scene.recorded())
    scene.mifos.states.append(CommandState.PROCESSED)

    assert scene.record()


def test_what_a_checker_approved_and_no_loan_shows_is_a_persons_matter():
    scene = Scene(mifos_command_id=5)
    scene.shows({})
    scene.mifos.states.append(CommandState.PROCESSED)

    assert not scene.record()

    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
    assert scene.mifos.orders == []


@pytest.mark.parametrize(
    ("paid_on", "business_date", "approved_on", "expected"),
    [
        ("2026-11-20", "2026-11-23", "2026-11-01", "2026-11-20"),
        ("2026-11-23", "2026-11-22", "2026-11-01", "2026-11-22"),
        ("2026-11-20", "2026-11-23", "2026-11-21", "2026-11-21"),
        ("2026-11-20", "2026-11-23", None, "2026-11-20"),
    ],
)
def test_the_date_is_the_day_of_the_payment_if_mifos_permits(
    paid_on, business_date, approved_on, expected
):
    at = datetime.combine(date.fromisoformat(paid_on), datetime.min.time(), tzinfo=UTC)
    scene = Scene(transaction_completed_at=at + timedelta(hours=9))
    approved = date.fromisoformat(approved_on) if approved_on else None
    scene.shows({"approved_on": approved}, scene.recorded())
    scene.mifos.on = date.fromisoformat(business_date)

    scene.record()

    assert scene.mifos.orders[0].on.isoformat() == expected
    assert paid_on in scene.mifos.orders[0].note


def test_shortly_before_midnight_in_nairobi_is_still_that_day():
    scene = Scene(transaction_completed_at=datetime(2026, 11, 23, 20, 59, 50, tzinfo=UTC))
    scene.mifos.on = date(2026, 11, 24)
    scene.shows({"approved_on": date(2026, 11, 1)}, scene.recorded())

    scene.record()

    assert scene.mifos.orders[0].on == date(2026, 11, 23)


@pytest.mark.parametrize(
    "columns",
    [{"status": AttemptStatus.ACCEPTED}, {"next_record_at": NOW + timedelta(hours=1)}],
)
def test_only_a_paid_attempt_whose_turn_it_is_is_recorded(columns):
    scene = Scene(**columns)

    assert not record_one(scene.attempt.pk, Books(partner=scene.partner, mifos=scene.mifos))
    assert scene.mifos.reads == 0


@pytest.mark.parametrize(
    ("status", "is_done"), [(AttemptStatus.COMPLETED, True), (AttemptStatus.FAILED, False)]
)
def test_an_attempt_that_moved_on_while_we_read_is_left_alone(status, is_done, monkeypatch):
    scene = Scene()
    scene.shows(scene.recorded())
    read = scene.mifos.loan

    def meanwhile(loan_id: int) -> Any:
        DisbursementRequest.objects.update(status=status)
        return read(loan_id)

    monkeypatch.setattr(scene.mifos, "loan", meanwhile)

    assert scene.record() is is_done
    assert scene.loan.status == LoanStatus.PROCESSING


def test_a_grave_review_outlives_the_record():
    scene = Scene()
    LoanTracking.objects.update(review_reason="contradiction", error_message="both")

    assert scene.record()
    assert scene.loan.review_reason == ReviewReason.CONTRADICTION
    assert scene.loan.error_message == "both"


@pytest.mark.django_db(transaction=True)
def test_all_that_is_due_is_recorded_with_one_look_at_the_business_date(monkeypatch):
    scene = Scene()
    other = make_paid_loan(scene.partner)
    attempt = make_attempt(other, status="paid", next_record_at=NOW)
    row = {"status_id": 300, "disbursals": (disbursal_of(attempt),)}
    scene.mifos.loans[other.loan_id] = [detail_of(other), detail_of(other, **row)]
    looks: list[int] = []

    def look(now: datetime) -> date:
        looks.append(1)
        return timezone.localdate(now)

    monkeypatch.setattr(scene.mifos, "business_date", look)

    assert record_paid(scene.partner, scene.mifos) == 2
    assert len(looks) == 1


@pytest.mark.django_db(transaction=True)
def test_a_silent_mifos_is_not_waited_for_once_a_loan():
    scene = Scene()
    Partner.objects.update(mifos_concurrency=1)
    scene.partner.refresh_from_db()
    for _ in range(5):
        make_attempt(
            make_loan(scene.partner, status=LoanStatus.PROCESSING),
            status="paid",
            next_record_at=NOW,
        )
    for loan in LoanTracking.objects.all():
        scene.mifos.loans[loan.loan_id] = MifosUnreachable("away")

    assert record_paid(scene.partner, scene.mifos) == 0
    assert scene.mifos.reads == 3


def test_who_sleeps_past_its_lease_finds_it_recorded_and_posts_nothing(caplog):
    scene = Scene()

    def while_asleep(*, now: datetime) -> date:
        done = {"status": AttemptStatus.COMPLETED, "completed_at": now}
        DisbursementRequest.objects.filter(pk=scene.attempt.pk).update(**done)
        return timezone.localdate()

    scene.mifos.business_date = while_asleep

    assert not scene.record()

    assert scene.mifos.orders == []
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
