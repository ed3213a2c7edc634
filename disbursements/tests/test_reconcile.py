"""The three books are compared: every planted break is found, nothing else, no money moves."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import locked_attempt
from disbursements.reconcile import run as running
from disbursements.reconcile.differences import LABELS, NEXT_STEPS, DifferenceKind
from disbursements.reconcile.run import Order, reconcile
from disbursements.reconcile.window import Window
from disbursements.sending import fail
from disbursements.statement import read_statement
from disbursements.tests.books import (
    ACTIVE,
    WAITING,
    BookOfMifos,
    StatementFile,
    by_hand,
    completed_attempt,
    disbursal_of,
    found_loan,
    fresh,
    paid_attempt,
    sent_attempt,
)
from disbursements.tests.making import make_partner, make_product
from loans.audit import lock_loan, note_change
from loans.holding import open_new_cycle
from loans.models import LoanEvent, LoanTracking, ReviewReason
from mifos.client import MifosUnreachable
from partners.models import PayoutSwitch

# Threads read the database too, so what a test writes must be committed.
pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY = Window(first=date(2026, 11, 22), last=date(2026, 11, 22))
Kind = DifferenceKind


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=True) as traveller:
        yield traveller


@pytest.fixture
def umoja():
    return _partner("umoja", "600111")


@pytest.fixture
def tumaini():
    return _partner("tumaini", "600222")


def _partner(slug, shortcode):
    partner = make_partner(slug=slug, mpesa_shortcode=shortcode, mifos_tenant_id=slug)
    make_product(partner)
    return partner


@pytest.fixture
def mifos(monkeypatch):
    """The Mifos X of umoja."""
    return _mifos_books(monkeypatch)["umoja"]


@pytest.fixture
def both(monkeypatch):
    return _mifos_books(monkeypatch)


def _mifos_books(monkeypatch):
    books = {"umoja": BookOfMifos(), "tumaini": BookOfMifos()}
    monkeypatch.setattr(running, "mifos_client", lambda partner: books[partner.slug])
    return books


@pytest.fixture
def statement():
    return StatementFile()


def compare(*partners, statement=None, folder=None, window=TODAY, dry_run=False):
    order = Order(
        partners=partners,
        window=window,
        statement=read_statement(statement.write(folder)) if statement else None,
        shortcode="600111" if statement else "",
        dry_run=dry_run,
    )
    return reconcile(order, now=timezone.now())


def kinds(report):
    return Counter(each.kind for each in report.differences)


def only(report):
    [difference] = report.differences
    return difference


def rows_of_the_database():
    """Everything reconcile could have written."""
    return (
        list(LoanTracking.objects.order_by("pk").values()),
        list(DisbursementRequest.objects.order_by("pk").values()),
        list(LoanEvent.objects.order_by("pk").values()),
        list(PayoutSwitch.objects.values()),
    )


def closed_as_failed(partner):
    sent = sent_attempt(partner)
    with locked_attempt(sent.pk) as (attempt, loan):
        evidence: dict[str, object] = {"proof": "status query"}
        fail(attempt, loan, reason="Declined", evidence=evidence, now=timezone.now())
    return fresh(sent)


# A whole day


def plant_a_day(umoja, tumaini, books, statement, *, good=20):
    """Write a day with one break of each of the 12 kinds of reliability.md R6 among good rows."""
    mifos = books["umoja"]
    for _ in range(good):
        attempt = completed_attempt(umoja)
        mifos.records(attempt)
        statement.pays(attempt)
    planted: Counter[DifferenceKind] = Counter()

    def plant(kind):
        planted[kind] += 1

    silent = sent_attempt(umoja)  # 1 missing callback
    mifos.holds(silent.loan_tracking, WAITING)
    statement.pays(silent, receipt="SGX0000001")
    plant(Kind.MISSING_RESULT)

    mifos.holds(found_loan(umoja), ACTIVE, by_hand())  # 2 manual disbursal in Mifos X
    plant(Kind.DISBURSED_BY_HAND)

    undone = completed_attempt(umoja)  # 3 undone disbursal
    mifos.holds(undone.loan_tracking, WAITING, disbursal_of(undone, is_reversed=True))
    statement.pays(undone)
    plant(Kind.UNDONE_IN_MIFOS)

    amount = completed_attempt(umoja)  # 4 wrong amount
    mifos.records(amount)
    statement.pays(amount, amount=amount.amount + 500)
    plant(Kind.AMOUNT_DIFFERS)

    phone = completed_attempt(umoja)  # 5 wrong number
    mifos.records(phone)
    statement.pays(phone, party="254799999999 - SOMEBODY ELSE")
    plant(Kind.PHONE_DIFFERS)

    statement.row("SGX0000006", amount=777, party="254788888888 - NOBODY")  # 6 unknown to us
    plant(Kind.RECEIPT_UNKNOWN_TO_US)

    twice = completed_attempt(umoja)  # 7 duplicate payment on the rail
    mifos.records(twice)
    statement.pays(twice)
    statement.pays(twice, receipt="SGX0000007")
    plant(Kind.DUPLICATE_PAYMENT)

    back = completed_attempt(umoja)  # 8 reversed payout
    mifos.records(back)
    statement.pays(back)
    statement.row(
        "SGX0000008", paid_in="12,500.00", reason="Reversal", linked=back.transaction_receipt
    )
    plant(Kind.REVERSED)

    receipt = completed_attempt(umoja)  # 9 wrong receipt
    mifos.records(receipt, receipt_number="SGTYPO0000")
    statement.pays(receipt)
    plant(Kind.WRONG_RECEIPT_IN_MIFOS)

    late = completed_attempt(umoja)  # 10 wrong date
    mifos.records(late, date=date(2026, 10, 22))
    statement.pays(late)
    plant(Kind.WRONG_DATE_IN_MIFOS)

    other = completed_attempt(tumaini)  # 11 wrong partner: their payment, our shortcode
    books["tumaini"].records(other)
    statement.pays(other)
    plant(Kind.WRONG_PARTNER)

    orphan = found_loan(umoja)  # 12 orphan row
    mifos.holds(orphan, ACTIVE, by_hand(external_id="loanpoll-of-nobody"))
    plant(Kind.ORPHAN_ROW)
    return planted


def test_all_twelve_planted_kinds_of_break_are_found_and_nothing_else(
    umoja, tumaini, both, statement, tmp_path
):
    planted = plant_a_day(umoja, tumaini, both, statement)

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert len(planted) == 12
    assert kinds(report) == planted
    assert report.matched.payments == 20
    assert (report.breaches, report.errors) == ([], {})


def test_a_day_of_good_rows_shows_no_difference_and_three_equal_sums(
    umoja, mifos, statement, tmp_path
):
    for number in range(1, 8):
        loan = {"loan_amount": Decimal(1000 * number), "net_disbursal_amount": Decimal(900)}
        attempt = completed_attempt(umoja, **loan)
        mifos.records(attempt)
        statement.pays(attempt)

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert report.differences == []
    assert report.loanpoll.amount == report.mpesa.amount == report.matched.amount == 6300
    assert report.loanpoll.principal == report.mifos.principal == 28_000
    assert report.statement.charges == 63


def test_twice_is_once(umoja, tumaini, both, statement, tmp_path):
    plant_a_day(umoja, tumaini, both, statement, good=1)
    first = compare(umoja, statement=statement, folder=tmp_path)
    after_one = rows_of_the_database()

    second = compare(umoja, statement=statement, folder=tmp_path)

    assert rows_of_the_database() == after_one
    assert kinds(second) == kinds(first)


def test_a_dry_run_finds_the_same_and_writes_nothing(umoja, tumaini, both, statement, tmp_path):
    planted = plant_a_day(umoja, tumaini, both, statement, good=1)
    before = rows_of_the_database()

    report = compare(umoja, statement=statement, folder=tmp_path, dry_run=True)

    assert kinds(report) == planted
    assert rows_of_the_database() == before


def test_no_attempt_changes_its_status_and_none_is_added(umoja, tumaini, both, statement, tmp_path):
    plant_a_day(umoja, tumaini, both, statement, good=1)
    before = list(DisbursementRequest.objects.order_by("pk").values("pk", "status", "send_count"))

    compare(umoja, statement=statement, folder=tmp_path)

    after = list(DisbursementRequest.objects.order_by("pk").values("pk", "status", "send_count"))
    assert after == before


# Ours and Mifos X


def test_what_is_paid_and_not_recorded_is_due_now_and_not_posted_here(umoja, mifos):
    attempt = paid_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    later = timezone.now() + timedelta(hours=5)
    DisbursementRequest.objects.filter(pk=attempt.pk).update(next_record_at=later)

    report = compare(umoja)

    attempt = fresh(attempt)
    assert only(report).kind == Kind.PAID_NOT_RECORDED
    assert attempt.status == AttemptStatus.PAID
    assert attempt.next_record_at is not None
    assert attempt.next_record_at <= timezone.now()
    assert attempt.loan_tracking.review_reason == ""


def test_a_recording_that_is_under_way_keeps_its_lease(umoja, mifos):
    attempt = paid_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    lease = timezone.now() + timedelta(seconds=200)
    DisbursementRequest.objects.filter(pk=attempt.pk).update(next_record_at=lease)

    compare(umoja)

    assert fresh(attempt).next_record_at == lease


def test_a_loan_that_mifos_lost_is_told_and_others_are_compared(umoja, mifos):
    lost, good = completed_attempt(umoja), completed_attempt(umoja)
    mifos.records(good)

    report = compare(umoja)

    assert only(report).kind == Kind.UNDONE_IN_MIFOS
    assert only(report).attempt_id == lost.pk
    assert report.matched.payments == 1


def test_a_disbursement_by_hand_beside_ours_is_a_possible_double_payment(umoja, mifos):
    attempt = completed_attempt(umoja)
    mifos.holds(attempt.loan_tracking, ACTIVE, disbursal_of(attempt), by_hand())

    report = compare(umoja)

    assert only(report).kind == Kind.DISBURSED_BY_HAND
    assert fresh(attempt).loan_tracking.review_reason == ReviewReason.DOUBLE_PAYMENT


def test_a_disbursement_by_hand_while_our_payment_is_open_calls_a_person(umoja, mifos):
    attempt = sent_attempt(umoja)
    mifos.holds(attempt.loan_tracking, ACTIVE, by_hand(receipt_number=""))

    report = compare(umoja)

    assert only(report).kind == Kind.DISBURSED_BY_HAND
    assert fresh(attempt).loan_tracking.review_reason == ReviewReason.DOUBLE_PAYMENT


def test_a_held_loan_that_staff_disbursed_by_hand_is_listed_and_calls_nobody(umoja, mifos):
    loan = found_loan(umoja)
    mifos.holds(loan, ACTIVE, by_hand())

    report = compare(umoja)

    assert only(report).kind == Kind.DISBURSED_BY_HAND
    loan.refresh_from_db()
    assert loan.review_reason == ""


def test_a_loan_recorded_under_our_id_without_a_payment_is_found(umoja, mifos):
    attempt = sent_attempt(umoja)
    mifos.holds(attempt.loan_tracking, ACTIVE, disbursal_of(attempt, date=date(2026, 11, 22)))

    assert only(compare(umoja)).kind == Kind.RECORDED_NOT_PAID


def test_a_wrong_amount_in_mifos_is_found(umoja, mifos):
    mifos.records(completed_attempt(umoja), amount=Decimal(12_000))

    assert only(compare(umoja)).kind == Kind.WRONG_AMOUNT_IN_MIFOS


def test_a_disbursement_with_the_id_of_another_partners_payment_is_found(umoja, tumaini, both):
    theirs = completed_attempt(tumaini)
    both["tumaini"].records(theirs)
    both["umoja"].holds(found_loan(umoja), ACTIVE, disbursal_of(theirs))

    difference = only(compare(umoja, tumaini))

    assert (difference.kind, difference.partner) == (Kind.WRONG_PARTNER, "umoja")


def test_a_server_that_keeps_no_external_ids_is_matched_by_receipt(umoja, mifos):
    mifos.records(completed_attempt(umoja), external_id="")

    assert compare(umoja).differences == []


def test_the_day_we_told_mifos_is_the_day_it_must_show(umoja, mifos):
    attempt = completed_attempt(umoja)
    business_date = date(2026, 11, 20)  # Mifos X's calendar was behind
    DisbursementRequest.objects.filter(pk=attempt.pk).update(record_date=business_date)
    mifos.records(attempt, date=business_date)

    assert compare(umoja).differences == []


def test_a_loan_undone_long_ago_is_found_by_the_waiting_list(umoja, mifos, clock):
    attempt = completed_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    clock.shift(timedelta(days=40))
    later = Window(first=date(2027, 1, 1), last=date(2027, 1, 1))

    report = compare(umoja, window=later)

    assert only(report).kind == Kind.UNDONE_IN_MIFOS
    assert fresh(attempt).loan_tracking.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT


def test_an_undone_cycle_that_a_new_cycle_replaced_is_no_difference(umoja, mifos):
    first = completed_attempt(umoja)
    reversed_one = disbursal_of(first, is_reversed=True)
    mifos.holds(first.loan_tracking, WAITING, reversed_one)
    compare(umoja)
    new = open_new_cycle(
        first.loan_tracking_id, actor="mary", reason="Paid back", now=timezone.now()
    )
    mifos.holds(new, WAITING, reversed_one)

    assert compare(umoja).differences == []


def test_loans_that_wait_in_both_books_are_not_even_read(umoja, mifos):
    mifos.holds(found_loan(umoja), WAITING)

    report = compare(umoja)

    assert (report.differences, mifos.asked) == ([], [])


def test_a_partner_whose_mifos_is_down_is_told_and_the_other_is_compared(umoja, tumaini, both):
    completed_attempt(umoja)
    both["umoja"].failure = MifosUnreachable("Mifos X did not answer")
    both["tumaini"].records(completed_attempt(tumaini), amount=Decimal(1))

    report = compare(umoja, tumaini)

    assert report.errors == {"umoja": "Mifos X did not answer"}
    assert only(report).partner == "tumaini"
    assert report.matched.payments == 0


def test_a_mifos_that_dies_on_the_way_is_not_asked_for_ever(umoja, mifos, monkeypatch):
    for _ in range(30):
        completed_attempt(umoja)
    failure = MifosUnreachable("Mifos X did not answer")
    monkeypatch.setattr(mifos, "approved_loans", lambda: iter([]))
    mifos.failure = failure

    report = compare(umoja)

    assert len(mifos.asked) < 15
    assert "Not every loan could be read" in report.errors["umoja"]


# Ours and M-Pesa


def test_without_a_statement_the_trail_must_prove_each_payment(umoja, mifos):
    attempt = completed_attempt(umoja)
    mifos.records(attempt, receipt_number="SGFORGED00")
    LoanTracking.objects.update(mpesa_receipt_number="SGFORGED00")
    DisbursementRequest.objects.update(transaction_receipt="SGFORGED00")

    report = compare(umoja, dry_run=True)

    assert kinds(report) == {Kind.RECORDED_NOT_PAID: 1}


def test_a_payment_without_a_verdict_is_listed_with_its_age(umoja, mifos, clock):
    attempt = sent_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    clock.shift(timedelta(hours=3))

    report = compare(umoja)

    assert report.differences == []
    assert [each.pk for each in report.no_verdict] == [attempt.pk]


def test_a_missing_result_asks_mpesa_and_waits_for_its_word(umoja, mifos, statement, tmp_path):
    attempt = sent_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    statement.pays(attempt, receipt="SGX0000001")

    report = compare(umoja, statement=statement, folder=tmp_path)

    attempt = fresh(attempt)
    assert only(report).kind == Kind.MISSING_RESULT
    assert attempt.status == AttemptStatus.ACCEPTED
    assert attempt.next_query_at is not None
    assert attempt.next_query_at <= timezone.now()
    assert attempt.loan_tracking.review_reason == ReviewReason.OUTCOME_UNKNOWN


def test_a_second_row_for_an_open_payment_is_a_duplicate(umoja, mifos, statement, tmp_path):
    attempt = sent_attempt(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    statement.pays(attempt, receipt="SGX0000001")
    statement.pays(attempt, receipt="SGX0000002")

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert kinds(report) == {Kind.MISSING_RESULT: 1, Kind.DUPLICATE_PAYMENT: 1}
    assert fresh(attempt).loan_tracking.review_reason == ReviewReason.DOUBLE_PAYMENT


def test_a_failed_attempt_that_the_statement_shows_as_paid_blocks_a_retry(
    umoja, mifos, statement, tmp_path
):
    attempt = closed_as_failed(umoja)
    mifos.holds(attempt.loan_tracking, WAITING)
    statement.pays(attempt, receipt="SGX0000001")

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert only(report).kind == Kind.FAILED_BUT_PAID
    assert fresh(attempt).loan_tracking.review_reason == ReviewReason.CONTRADICTION


def test_a_payment_from_the_portal_keeps_the_same_loan_from_being_paid_again(
    umoja, mifos, statement, tmp_path
):
    loan = found_loan(umoja)
    mifos.holds(loan, WAITING)
    statement.row("SGX0000001", amount=12_500, party=f"{loan.phone_number} - JANE")

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert only(report).kind == Kind.RECEIPT_UNKNOWN_TO_US
    loan.refresh_from_db()
    assert "receipt SGX0000001" in loan.staff_hold  # until staff release it: it has no attempt


def test_what_a_borrower_got_before_the_approval_was_for_another_loan(
    umoja, mifos, statement, tmp_path
):
    loan = found_loan(umoja, approved_on=date(2026, 11, 23))
    mifos.holds(loan, WAITING)
    statement.row("SGX0000001", amount=12_500, party=f"{loan.phone_number} - JANE")

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert only(report).kind == Kind.RECEIPT_UNKNOWN_TO_US
    assert only(report).loan is None


def test_a_difference_that_a_person_settled_is_listed_and_not_raised_again(umoja, mifos):
    attempt = completed_attempt(umoja)
    mifos.records(attempt, receipt_number="SGTYPO0000")
    compare(umoja)
    with transaction.atomic():
        loan = lock_loan(attempt.loan_tracking_id)
        assert loan.review_reason == ReviewReason.BOOKS_DIFFER
        note_change(loan, actor="mary", reason="Known", at=timezone.now(), review_reason="")

    report = compare(umoja)

    assert only(report).kind == Kind.WRONG_RECEIPT_IN_MIFOS
    assert fresh(attempt).loan_tracking.review_reason == ""


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (completed_attempt, Kind.RECORDED_NOT_PAID),
        (paid_attempt, Kind.RECEIPT_MISSING_IN_STATEMENT),
    ],
)
def test_a_payment_that_the_statement_lacks_is_found(
    umoja, mifos, statement, tmp_path, clock, make, kind
):
    missing = make(umoja)
    mifos.records(missing)
    clock.shift(timedelta(days=1))  # the day is over, so the statement speaks for all of it

    assert only(compare(umoja, statement=statement, folder=tmp_path)).kind == kind


def test_a_declined_row_is_no_payment(umoja, mifos, statement, tmp_path):
    attempt = completed_attempt(umoja)
    mifos.records(attempt)
    statement.pays(attempt, status="Declined")

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert only(report).kind == Kind.RECORDED_NOT_PAID
    assert report.mpesa.payments == 0


def test_another_receipt_for_the_same_payment_is_one_difference(
    umoja, mifos, statement, tmp_path, clock
):
    attempt = completed_attempt(umoja)
    mifos.records(attempt)
    statement.pays(attempt, receipt="SGX0000001")
    clock.shift(timedelta(days=1))

    assert only(compare(umoja, statement=statement, folder=tmp_path)).kind == Kind.RECEIPT_DIFFERS


def test_todays_statement_does_not_speak_for_what_was_paid_after_it(
    umoja, mifos, statement, tmp_path, clock
):
    early = completed_attempt(umoja)
    mifos.records(early)
    statement.pays(early)
    clock.shift(timedelta(hours=2))
    mifos.records(completed_attempt(umoja))

    report = compare(umoja, statement=statement, folder=tmp_path)

    assert report.differences == []
    assert (report.uncovered, report.matched.payments) == (1, 1)


def test_a_reversal_of_an_earlier_days_payment_is_found(umoja, mifos, statement, tmp_path, clock):
    attempt = completed_attempt(umoja)
    mifos.records(attempt)
    clock.shift(timedelta(days=3))
    statement.row("SGX0000001", paid_in=12_500, reason="Reversal", linked="SGNOBODYS0")
    statement.row(
        "SGX0000002", paid_in=12_500, reason="Reversal", linked=attempt.transaction_receipt
    )
    later = Window(first=date(2026, 11, 25), last=date(2026, 11, 25))

    report = compare(umoja, statement=statement, folder=tmp_path, window=later)

    assert kinds(report) == {Kind.REVERSED: 1, Kind.ORPHAN_ROW: 1}


def test_a_receipt_that_two_partners_hold_is_found(umoja, tumaini, both):
    ours, theirs = completed_attempt(umoja), completed_attempt(tumaini)
    receipt = ours.transaction_receipt
    DisbursementRequest.objects.filter(pk=theirs.pk).update(transaction_receipt=receipt)
    both["umoja"].records(ours)

    assert kinds(compare(umoja, dry_run=True)) == {Kind.WRONG_PARTNER: 1}


# Our own book


@pytest.mark.parametrize(
    ("loan", "attempt", "said"),
    [
        ({"status": "failed"}, {}, "it is failed with one live attempt"),
        ({"status": "pending_disbursement"}, {}, "it is pending with one live attempt"),
        ({}, {"status": "failed"}, "it is disbursed with no live attempt"),
        ({}, {"status": "paid"}, "it is disbursed and its attempt is paid"),
        ({"mpesa_receipt_number": "SGX0000001"}, {}, "it shows receipt 'SGX0000001'"),
        ({}, {"principal": Decimal(1)}, "its principal is 12500.00, and its attempt's 1.00"),
        ({}, {"amount": Decimal(1)}, "its net amount is 12500.00, and its attempt's 1.00"),
    ],
)
def test_a_breach_in_our_own_book_stops_all_payouts(umoja, mifos, loan, attempt, said):
    row = completed_attempt(umoja)
    mifos.records(row)
    LoanTracking.objects.filter(pk=row.loan_tracking_id).update(**loan)
    DisbursementRequest.objects.filter(pk=row.pk).update(**attempt)

    report = compare(umoja)

    assert any(said in breach.problem for breach in report.breaches)
    switch = PayoutSwitch.objects.get()
    assert (switch.is_paused, switch.paused_by) == (True, "reconcile")


def test_a_breach_stops_nothing_in_a_dry_run(umoja, mifos):
    row = completed_attempt(umoja)
    mifos.records(row)
    LoanTracking.objects.update(status="failed")

    report = compare(umoja, dry_run=True)

    assert report.breaches
    assert not PayoutSwitch.objects.exists()


def test_every_state_the_product_makes_is_coherent(umoja, mifos):
    found_loan(umoja)
    sent_attempt(umoja)
    paid_attempt(umoja)
    completed_attempt(umoja)
    closed_as_failed(umoja)

    assert compare(umoja, dry_run=True).breaches == []


# The command


@pytest.fixture
def spoken(umoja, mifos):
    good = completed_attempt(umoja)
    mifos.records(good)
    bad = completed_attempt(umoja)
    mifos.records(bad, receipt_number="SGTYPO0000")
    return bad


def command(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("reconcile", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_tells_people_what_to_do_next(spoken):
    out, err = command("--date", "today")

    assert "Loan Poll paid" in out
    assert "25,000" in out
    assert NEXT_STEPS[Kind.WRONG_RECEIPT_IN_MIFOS] in out
    assert "1 difference(s)" in err


def test_the_command_says_when_all_is_equal(umoja, mifos):
    mifos.records(completed_attempt(umoja))

    out, err = command()

    assert "No differences." in out
    assert err == ""


def test_the_document_keeps_its_shape(spoken):
    out, _ = command("--date", "2026-11-22", "--json")

    document = json.loads(out)
    assert document["schema"] == "loanpoll.reconcile/1"
    assert document["success"] is True
    assert document["totals"]["loanPoll"] == {
        "payments": 2,
        "amount": "25000.00",
        "principal": "25000.00",
    }
    assert document["matched"]["payments"] == 1
    [difference] = document["differences"]
    assert difference["kind"] == "wrong_receipt_in_mifos"
    assert difference["loanId"] == spoken.loan_tracking.loan_id
    assert difference["nextStep"]
    assert spoken.msisdn not in out


def test_the_days_of_a_statement_are_compared_by_themselves(
    umoja, mifos, statement, tmp_path, clock
):
    attempt = completed_attempt(umoja)
    mifos.records(attempt)
    statement.pays(attempt)
    clock.shift(timedelta(days=30))

    out, err = command("--statement", str(statement.write(tmp_path)), "--json")

    document = json.loads(out)
    assert (document["from"], document["to"]) == ("2026-11-22", "2026-11-22")
    assert document["matched"]["payments"] == 1
    assert document["totals"]["mpesa"]["source"] == "statement"
    assert err == ""


def test_a_partner_that_cannot_be_read_is_exit_code_1(umoja, mifos):
    mifos.failure = MifosUnreachable("Mifos X did not answer")

    with pytest.raises(CommandError, match="umoja: Mifos X did not answer") as caught:
        command()

    assert caught.value.returncode == 1


def test_a_breach_is_exit_code_1(spoken):
    LoanTracking.objects.update(status="failed")

    with pytest.raises(CommandError, match="stopped") as caught:
        command()

    assert caught.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--partner", "nobody"], "No partner 'nobody'"),
        (["--statement", "/does/not/exist.csv"], "cannot be read"),
        (["--date", "today", "--from", "today"], "does not go with"),
        (["--from", "today", "--to", "yesterday"], "before"),
    ],
)
def test_a_wrong_order_is_exit_code_2_and_nothing_is_done(umoja, mifos, arguments, said):
    with pytest.raises(CommandError, match=said) as caught:
        command(*arguments)

    assert caught.value.returncode == 2
    assert mifos.asked == []


def test_a_statement_of_a_foreign_shortcode_is_refused(umoja, mifos, tmp_path):
    foreign = StatementFile(shortcode="999999")
    foreign.row("SGX0000001", amount=10, party="254722123646")

    with pytest.raises(CommandError, match="999999") as caught:
        command("--statement", str(foreign.write(tmp_path)))

    assert caught.value.returncode == 2


def test_a_statement_without_a_name_needs_a_partner(umoja, tumaini, both, tmp_path):
    nameless = StatementFile(shortcode="")
    nameless.row("SGX0000001", amount=10, party="254722123646")
    path = str(nameless.write(tmp_path))

    with pytest.raises(CommandError, match="--partner"):
        command("--statement", path)
    out, _ = command("--statement", path, "--partner", "umoja", "--json")
    assert json.loads(out)["partners"] == ["umoja"]


def test_a_nameless_statement_of_another_partner_calls_nobody(umoja, tumaini, both, tmp_path):
    nameless = StatementFile(shortcode="")
    nameless.pays(completed_attempt(tumaini))

    with pytest.raises(CommandError, match="Say --partner tumaini") as caught:
        command("--statement", str(nameless.write(tmp_path)), "--partner", "umoja")

    assert caught.value.returncode == 2
    assert not LoanTracking.objects.exclude(review_reason="").exists()


def test_every_kind_has_a_label_and_one_next_step():
    assert set(LABELS) == set(NEXT_STEPS) == set(DifferenceKind)
    assert all(step.endswith(".") for step in NEXT_STEPS.values())
