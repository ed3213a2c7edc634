"""A pass: one shop per partner, every exit tells the truth, nobody's trouble is another's."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements import passes, process, rehearse, serve
from disbursements.models import DisbursementRequest, SyncRun, TriggeredBy
from disbursements.passes import run_fetch, run_hook, run_process, run_sync
from disbursements.process import due_loans, pay_loan
from disbursements.reports import LoanOutcome
from disbursements.reread import Preflight, read_fresh
from disbursements.serve import Orders
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import (
    FakeMifos,
    FakeMpesa,
    detail_of,
    disbursal_of,
    fresh_of,
    make_shop,
)
from loans.models import HoldReason, LoanStatus, LoanTracking
from mifos.client import (
    Calendar,
    Holiday,
    MifosCredentials,
    MifosNotFound,
    MifosRefused,
    MifosUnreachable,
)
from mpesa.client import MpesaCredentials, MpesaNotSent, MpesaThrottled, MpesaUnknown
from mpesa.shortcodes import mark_float_short, shortcode_of
from partners.gateways import NotConfigured
from partners.models import Partner

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TODAY = timezone.localdate(NOW)


@pytest.fixture
def partner() -> Partner:
    partner = make_partner(mpesa_payments_per_second=Decimal(1000))
    make_product(partner)
    return partner


@pytest.fixture
def mifos() -> Any:
    return FakeMifos()


@pytest.fixture
def mpesa() -> Any:
    return FakeMpesa()


def again(loan: LoanTracking) -> LoanTracking:
    return LoanTracking.objects.get(pk=loan.pk)


def test_a_loan_that_may_be_paid_is_read_claimed_and_sent(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)

    report = pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert report.outcome == LoanOutcome.PROCESSING
    assert (len(mpesa.orders), again(loan).status) == (1, LoanStatus.PROCESSING)


def test_what_mifos_says_now_is_what_is_paid(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan, net_disbursal_amount=Decimal(11_000))

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert mpesa.orders[0].amount == 11_000


@pytest.mark.parametrize(
    ("change", "hold"),
    [
        ({"is_top_up": True}, HoldReason.TOP_UP),
        ({"linked_savings_id": 7}, HoldReason.LINKED_SAVINGS),
        ({"has_account_transfer_charge": True}, HoldReason.LINKED_SAVINGS),
        ({"tranche_count": 2}, HoldReason.TRANCHE_LOAN),
        ({"currency": "USD"}, HoldReason.FOREIGN_CURRENCY),
        ({"net_disbursal_amount": None}, HoldReason.NET_UNKNOWN),
        ({"approved_on": TODAY + timedelta(days=1)}, HoldReason.APPROVED_IN_FUTURE),
        ({"first_repayment_date": TODAY - timedelta(days=1)}, HoldReason.REPAYMENT_DATE_PASSED),
    ],
)
def test_what_only_the_re_read_shows_holds_the_loan(partner, mifos, mpesa, change, hold):
    loan = make_loan(partner)
    mifos.know(loan, **change)

    report = pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert report.outcome == LoanOutcome.HELD
    assert again(loan).hold_reason == hold
    assert mpesa.orders == []


def test_a_client_who_is_not_active_is_not_paid(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    mifos.clients[loan.client_id] = replace(mifos.clients[loan.client_id], is_active=False)

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert again(loan).hold_reason == HoldReason.CLIENT_NOT_ACTIVE


@pytest.mark.parametrize("shown", [{"status_id": 300}, None])
def test_a_loan_that_left_is_cancelled(partner, mifos, mpesa, shown):
    loan = make_loan(partner)
    if shown:
        mifos.know(loan, **shown)

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert again(loan).status == LoanStatus.CANCELLED
    assert mpesa.orders == []


def test_a_missing_client_does_not_cancel_the_loan(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    mifos.clients[loan.client_id] = MifosNotFound("no such client")
    shop = make_shop(partner, mifos, mpesa)

    pay_loan(loan.pk, shop)

    assert again(loan).status == LoanStatus.PENDING
    assert shop.takes_more


def test_silence_three_times_in_a_row_closes_the_shop_and_a_refusal_does_not(partner, mifos, mpesa):
    shop = make_shop(partner, mifos, mpesa)
    loan = make_loan(partner)
    for answer in (MifosRefused("no"), *[MifosUnreachable("away")] * 3):
        assert shop.takes_more
        mifos.loans[loan.loan_id] = answer
        pay_loan(loan.pk, shop)

    assert not shop.takes_more
    assert shop.error == "away"


def test_a_wrong_password_closes_the_shop_at_once(partner, mifos, mpesa):
    shop = make_shop(partner, mifos, mpesa)
    loan = make_loan(partner)
    mifos.loans[loan.loan_id] = MifosCredentials("password")

    pay_loan(loan.pk, shop)

    assert not shop.takes_more


def test_an_unreadable_calendar_is_trouble_and_not_a_crash(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    shop = make_shop(partner, mifos, mpesa)
    mifos.days = MifosUnreachable("away")

    report = pay_loan(loan.pk, shop)

    assert (report.outcome, report.reason) == (LoanOutcome.HELD, "away")


@pytest.mark.parametrize(
    ("answer", "is_closed", "is_stopped"),
    [
        (MpesaNotSent("no way out"), True, False),
        (MpesaThrottled("busy"), True, False),
        (MpesaCredentials("no product"), True, True),
        (MpesaUnknown("timed out"), False, False),
    ],
)
def test_an_answer_that_is_not_about_one_loan_ends_the_pass(
    partner, mifos, mpesa, answer, is_closed, is_stopped
):
    loan = make_loan(partner)
    mifos.know(loan)
    mpesa.pay_answers.append(answer)
    shop = make_shop(partner, mifos, mpesa)

    pay_loan(loan.pk, shop)

    assert shop.takes_more is not is_closed
    row = shortcode_of("sandbox", "600000")
    assert (row.breaker_opened_at is not None) is is_stopped


def test_three_unclear_answers_in_a_row_end_the_pass(partner, mifos, mpesa):
    shop = make_shop(partner, mifos, mpesa)
    mpesa.pay_answers.extend([MpesaUnknown("timed out")] * 3)
    for _ in range(3):
        loan = make_loan(partner)
        mifos.know(loan)
        pay_loan(loan.pk, shop)

    assert "no clear answers" in shop.error


def test_without_a_token_nothing_is_promised(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    mpesa.token_answers.append(MpesaCredentials("wrong key"))

    pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert not DisbursementRequest.objects.exists()
    assert shortcode_of("sandbox", "600000").breaker_opened_at is not None


def test_a_refusal_of_a_credential_that_was_corrected_since_stops_nothing(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    mpesa.token_answers.append(MpesaCredentials("wrong key"))
    shop = make_shop(partner, mifos, mpesa)
    Partner.objects.update(mpesa_initiator_name="corrected")

    pay_loan(loan.pk, shop)

    assert shortcode_of("sandbox", "600000").breaker_opened_at is None
    assert not shop.takes_more


def test_a_look_that_became_too_old_is_taken_again_without_queueing_anew(
    partner, mifos, mpesa, monkeypatch
):
    loan = make_loan(partner)
    mifos.know(loan)
    shop = make_shop(partner, mifos, mpesa)
    waits: list[int] = []
    monkeypatch.setattr(shop, "wait_for_slot", lambda: waits.append(1))
    looks = iter([fresh_of(loan, age=11), fresh_of(loan)])
    monkeypatch.setattr(process, "read_fresh", lambda *_: next(looks))

    pay_loan(loan.pk, shop)

    assert (len(waits), len(mpesa.orders)) == (1, 1)


def test_a_mifos_so_slow_that_every_look_is_too_old_pays_nothing(
    partner, mifos, mpesa, monkeypatch
):
    loan = make_loan(partner)
    monkeypatch.setattr(process, "read_fresh", lambda *_: fresh_of(loan, age=11))

    report = pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert "next pass" in report.reason
    assert mpesa.orders == []


def test_the_end_of_the_time_comes_before_the_claim(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan)
    shop = make_shop(partner, mifos, mpesa, deadline=time.monotonic())

    assert pay_loan(loan.pk, shop).reason == "The next pass pays it"
    assert shop.is_out_of_time


def test_the_pace_never_sleeps_past_the_deadline(partner, mifos, mpesa):
    Partner.objects.update(mpesa_payments_per_second=Decimal("0.01"))
    partner.refresh_from_db()
    shop = make_shop(partner, mifos, mpesa, deadline=time.monotonic() + 0.1)
    shop.wait_for_slot()
    started = time.monotonic()

    shop.wait_for_slot()

    assert time.monotonic() - started < 1


def test_a_loan_that_another_pass_took_or_the_lock_refused_is_only_reported(
    partner, mifos, mpesa, monkeypatch
):
    taken, refused = make_loan(partner), make_loan(partner)
    for loan in (taken, refused):
        mifos.know(loan)
    shop = make_shop(partner, mifos, mpesa)
    make_attempt(taken)
    assert "Another pass" in pay_loan(taken.pk, shop).reason

    Partner.objects.update(daily_limit=1)
    assert "daily limit" in pay_loan(refused.pk, shop).reason


def test_loans_are_taken_oldest_approval_first_and_only_those_that_may_be(partner):
    old = make_loan(partner, approved_on=TODAY - timedelta(days=9))
    new = make_loan(partner)
    due = make_loan(partner, hold_reason=HoldReason.NOT_DUE, next_attempt_at=NOW)
    make_loan(partner, hold_reason=HoldReason.NOT_DUE, next_attempt_at=NOW + timedelta(hours=1))
    make_loan(partner, hold_reason=HoldReason.CENTS)
    make_loan(partner, review_reason="contradiction")
    make_loan(partner, status=LoanStatus.FAILED)

    assert due_loans(partner, now=NOW) == [old.pk, new.pk, due.pk]
    assert due_loans(partner, limit=1, now=NOW) == [old.pk]
    assert due_loans(partner, loan_id=new.loan_id, now=NOW) == [new.pk]


@pytest.mark.parametrize(
    ("change", "hold"),
    [
        ({"allowed": frozenset({"READ_LOAN"})}, HoldReason.NO_DISBURSE_PERMISSION),
        ({"types": []}, HoldReason.PAYMENT_TYPE_INVALID),
    ],
)
def test_what_mifos_would_refuse_for_every_loan_is_seen_before_paying(partner, change, hold):
    mifos: Any = FakeMifos(**change)
    loan = make_loan(partner)

    refusal = Preflight.read(partner, mifos, now=NOW).refusal(fresh_of(loan))

    assert refusal is not None
    assert refusal.hold == hold


def test_a_cash_payment_type_is_refused(partner):
    Partner.objects.update(mifos_payment_type_id=2)
    partner.refresh_from_db()
    mifos: Any = FakeMifos()

    refusal = Preflight.read(partner, mifos, now=NOW).refusal(fresh_of(make_loan(partner)))

    assert refusal is not None
    assert "cash type" in refusal.message


def test_a_holiday_on_the_expected_date_counts_like_one_today(partner):
    expected = TODAY - timedelta(days=3)
    mifos: Any = FakeMifos()
    mifos.days = Calendar(
        holidays=(Holiday(name="Mashujaa", from_date=expected, to_date=expected),),
        working_weekdays=None,
        allows_holidays=False,
        allows_non_working_days=False,
    )
    loan = make_loan(partner, expected_disbursement_date=expected)
    preflight = Preflight.read(partner, mifos, now=NOW)

    first, second = preflight.refusal(fresh_of(loan)), preflight.refusal(fresh_of(loan))

    assert first == second
    assert first is not None
    assert first.hold == HoldReason.HOLIDAY
    assert preflight.refusal(fresh_of(make_loan(partner))) is None


def test_a_group_loan_has_nobody_to_pay(partner):
    loan = make_loan(partner)
    mifos: Any = FakeMifos()
    mifos.loans[loan.loan_id] = detail_of(loan, client_id=None, loan_type_id=2)

    fresh = read_fresh(mifos, loan.loan_id)

    refusal = Preflight.read(partner, mifos, now=NOW).refusal(fresh)
    assert refusal is not None
    assert refusal.hold == HoldReason.GROUP_LOAN


@pytest.fixture
def peers(monkeypatch, mifos, mpesa) -> Any:
    """Let every partner be served by these two peers."""
    mifos.approved_loans = lambda: iter([])
    for room in (serve, passes):
        monkeypatch.setattr(room, "mifos_client", lambda partner: mifos)
    monkeypatch.setattr(serve, "mpesa_client", lambda partner: mpesa)
    return mifos, mpesa


BY = TriggeredBy.SCHEDULE
real = pytest.mark.django_db(transaction=True)


@real
def test_a_whole_pass_pays_and_is_written_down(partner, peers):
    loan = make_loan(partner)
    peers[0].know(loan)

    report = run_sync(triggered_by=BY)

    assert report.success
    assert [each.loan_id for each in report.process.loans] == [loan.loan_id]
    run = SyncRun.objects.get()
    assert (run.success, run.summary["process"][0]["loans"]) == (True, 1)


@real
def test_an_idle_pass_asks_mifos_nothing(partner, peers):
    peers[0].permissions = None  # would fail if it were asked

    assert run_process(triggered_by=BY).success


@real
@pytest.mark.parametrize("error", [NotConfigured("no url"), RuntimeError("a bug")])
def test_a_partner_that_cannot_be_served_is_told_and_does_not_stop_the_others(
    partner, peers, monkeypatch, error
):
    def fail(broken: Partner) -> Any:
        if broken.slug == "broken":
            raise error
        return peers[0]

    make_partner(slug="broken")
    monkeypatch.setattr(serve, "mifos_client", fail)

    report = run_sync(triggered_by=BY)

    errors = {each.slug: each.error for each in report.process.results}
    assert not report.success
    assert errors["broken"]
    assert errors[partner.slug] == ""
    assert [bool(each.error) for each in report.fetch.results] == [True, False]
    assert Partner.objects.get(slug="broken").last_error


@real
def test_a_preflight_that_fails_is_the_partners_error(partner, peers, monkeypatch):
    make_loan(partner)
    monkeypatch.setattr(
        peers[0], "business_date", lambda now: (_ for _ in ()).throw(MifosUnreachable("away"))
    )

    assert run_process(triggered_by=BY).results[0].error == "away"


@real
def test_a_closed_gate_pays_nothing_and_says_why(partner, peers):
    make_loan(partner)
    mark_float_short("sandbox", "600000", now=NOW)

    [result] = run_process(triggered_by=BY).results

    assert "float" in result.waiting_because
    assert peers[1].orders == []
    assert len(peers[1].balance_questions) == 1


@real
def test_without_m_pesa_loans_are_shown_and_none_is_paid(partner, peers):
    loan = make_loan(partner)
    Partner.objects.update(is_mpesa_configured=False)

    [result] = run_process(triggered_by=BY).results

    assert result.error == ""
    assert again(loan).hold_reason == HoldReason.NOT_CONFIGURED


@real
def test_an_inactive_partner_is_served_only_while_a_payment_is_open(partner, peers):
    Partner.objects.update(is_active=False)
    assert run_sync(triggered_by=BY).process.results == []
    assert run_fetch(triggered_by=BY).results == []

    make_attempt(make_loan(partner, status=LoanStatus.PROCESSING))
    report = run_sync(triggered_by=BY)
    assert [each.slug for each in report.process.results] == [partner.slug]
    assert report.fetch.results == []


@real
def test_only_the_partners_named_are_served(partner, peers):
    make_partner(slug="another")

    report = run_process(triggered_by=BY, partners=["another"])

    assert [each.slug for each in report.results] == ["another"]


@real
def test_a_pass_may_linger_for_its_callbacks(partner, peers, monkeypatch):
    loan = make_loan(partner)
    peers[0].know(loan)
    monkeypatch.setattr(serve, "GLANCE_SECONDS", 0.01)
    started = time.monotonic()

    run_sync(triggered_by=BY, wait_seconds=0.1)
    assert time.monotonic() - started >= 0.1

    other = make_loan(partner)
    peers[0].know(other)
    monkeypatch.setattr(
        serve,
        "record_paid",
        lambda *_, **__: DisbursementRequest.objects.update(status="failed"),
    )
    report = run_sync(triggered_by=BY, wait_seconds=30)
    assert [each.outcome for each in report.process.loans] == [LoanOutcome.FAILED]


@real
def test_a_hook_looks_at_its_loan_and_never_raises(partner, peers):
    loan = make_loan(partner)
    peers[0].know(loan)

    run_hook(partner_id=partner.pk, loan_id=loan.loan_id)
    assert DisbursementRequest.objects.get().triggered_by == TriggeredBy.HOOK

    run_hook(partner_id=partner.pk, loan_id=1)
    run_hook(partner_id=0, loan_id=1)
    assert DisbursementRequest.objects.count() == 1


def test_part_of_the_time_belongs_to_what_is_paid_already():
    orders = Orders(triggered_by=BY, started_at=NOW, deadline=time.monotonic() + 10)

    assert orders.pays_until is not None
    assert 5 < orders.pays_until - time.monotonic() <= 6
    assert Orders(triggered_by=BY, started_at=NOW).pays_until is None


@real
def test_a_dry_run_says_what_would_be_paid_and_writes_nothing(partner, peers, monkeypatch):
    mifos, mpesa = peers
    loans = {
        "new": make_loan(partner),
        "held": make_loan(partner),
        "gone": make_loan(partner),
        "left": make_loan(partner),
        "paid": make_loan(partner, status=LoanStatus.DISBURSED),
    }
    for loan in loans.values():
        mifos.know(loan)
    mifos.know(loans["held"], is_top_up=True)
    mifos.approved_loans = lambda: iter([[detail_of(loan) for loan in loans.values()]])
    del mifos.loans[loans["gone"].loan_id]
    mifos.know(loans["left"], status_id=300)
    LoanTracking.objects.filter(pk=loans["new"].pk).delete()
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)
    before = list(LoanTracking.objects.order_by("pk").values())

    report = run_sync(triggered_by=BY, dry_run=True).process

    said = {each.loan_id: (each.outcome, each.reason) for each in report.loans}
    assert said[loans["new"].loan_id] == (LoanOutcome.WOULD_PAY, "")
    assert said[loans["held"].loan_id][1] == HoldReason.TOP_UP.label
    assert "no longer knows" in said[loans["gone"].loan_id][1]
    assert "no longer waits" in said[loans["left"].loan_id][1]
    assert "already" in said[loans["paid"].loan_id][1]
    assert list(LoanTracking.objects.order_by("pk").values()) == before
    assert mpesa.orders == []
    one = run_process(triggered_by=BY, dry_run=True, loan_id=loans["new"].loan_id)
    assert [each.reason for each in one.loans] == [rehearse.NOT_FETCHED]
    assert run_sync(triggered_by=BY, dry_run=True).run_id is None
    mifos.loans[loans["new"].loan_id] = MifosUnreachable("away")
    assert run_process(triggered_by=BY, dry_run=True, loan_id=loans["new"].loan_id).results[0].error


def test_a_loan_that_another_pass_claimed_while_we_read_keeps_its_status(partner, mifos, mpesa):
    loan = make_loan(partner)
    mifos.know(loan, is_top_up=True)
    shop = make_shop(partner, mifos, mpesa)
    LoanTracking.objects.update(status=LoanStatus.PROCESSING)

    pay_loan(loan.pk, shop)

    assert (again(loan).status, again(loan).hold_reason) == (LoanStatus.PROCESSING, "")


@real
def test_a_closed_shop_begins_no_other_loan(partner, peers):
    mifos, mpesa = peers
    Partner.objects.update(mifos_concurrency=1)
    for _ in range(3):
        mifos.know(make_loan(partner))
    mpesa.pay_answers.append(MpesaNotSent("no way out"))

    [result] = run_process(triggered_by=BY).results

    assert (len(result.loans), result.error) == (1, "no way out")


def test_an_approval_after_the_business_date_would_be_refused(partner, mifos):
    tomorrow = TODAY + timedelta(days=1)
    fresh = fresh_of(make_loan(partner), approved_on=tomorrow)

    refusal = Preflight.read(partner, mifos, now=NOW).refusal(fresh)

    assert refusal is not None
    assert (refusal.hold, refusal.retry_on) == (HoldReason.APPROVED_IN_FUTURE, tomorrow)


@real
def test_without_m_pesa_what_was_sent_before_is_still_seen_through(partner, peers):
    paid = make_loan(partner, status=LoanStatus.PROCESSING, mpesa_receipt_number="SGH7K2M9QD")
    attempt = make_attempt(paid, status="paid", next_record_at=NOW)
    peers[0].know(paid, disbursals=(disbursal_of(attempt),))
    silent = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(silent, status="unknown", first_sent_at=NOW - timedelta(days=30))
    Partner.objects.update(is_mpesa_configured=False)

    run_process(triggered_by=BY)

    assert again(paid).status == LoanStatus.DISBURSED
    assert again(silent).review_reason == "outcome_unknown"


@real
def test_a_dry_run_sees_what_no_poll_has_kept_yet(partner, peers, monkeypatch):
    mifos, _ = peers
    other = make_attempt(make_loan(partner, status=LoanStatus.DISBURSED), status="completed")
    alone, *twins = [make_loan(partner) for _ in range(3)]
    for twin in twins:
        twin.phone_number = "254700999888"
    undone, standing = make_loan(partner), make_loan(partner)
    loans = [alone, *twins, undone, standing]
    for loan in loans:
        mifos.know(loan)
    mifos.know(undone, disbursals=(disbursal_of(other, is_reversed=True),))
    mifos.know(standing, disbursals=(disbursal_of(other),))
    mifos.approved_loans = lambda: iter([[detail_of(loan) for loan in loans]])
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)
    LoanTracking.objects.filter(pk__in=[loan.pk for loan in loans]).delete()

    report = run_sync(triggered_by=BY, dry_run=True).process

    said = {each.loan_id: each.reason for each in report.loans}
    assert said[alone.loan_id] == ""
    assert {said[twin.loan_id] for twin in twins} == {HoldReason.PHONE_SHARED.label}
    assert said[undone.loan_id] == HoldReason.REOPENED.label
    assert "stands" in said[standing.loan_id]


@real
def test_a_dry_run_counts_the_limits_of_the_day_in_the_order_of_the_pass(
    partner, peers, monkeypatch
):
    mifos, mpesa = peers
    same = {"client_id": 71, "phone_number": "254722000071"}
    first, second, third = (
        make_loan(partner, **same),
        make_loan(partner, **same),
        make_loan(partner),
    )
    for loan in (first, second, third):
        mifos.know(loan)
    mifos.approved_loans = lambda: iter([[detail_of(loan) for loan in (third, second, first)]])
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)
    net = first.net_disbursal_amount
    Partner.objects.update(daily_limit=net * 2, client_daily_limit=net)

    rehearsed = run_process(triggered_by=BY, dry_run=True)

    said = {each.loan_id: each.reason for each in rehearsed.loans}
    assert [said[first.loan_id], said[third.loan_id]] == ["", ""]
    assert said[second.loan_id].startswith(str(HoldReason.CLIENT_DAILY_LIMIT.label))
    Partner.objects.update(mifos_concurrency=1)
    run_process(triggered_by=BY)
    assert {order.amount for order in mpesa.orders} == {net}
    assert len(mpesa.orders) == 2


@real
def test_a_dry_run_pays_no_more_than_its_limit_and_ends_with_its_time(partner, peers, monkeypatch):
    mifos, _ = peers
    held, *free = [make_loan(partner) for _ in range(3)]
    for loan in (held, *free):
        mifos.know(loan, is_top_up=loan == held)
    mifos.approved_loans = lambda: iter([[detail_of(loan) for loan in (held, *free)]])
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)

    limited = run_process(triggered_by=BY, dry_run=True, limit=1)
    late = run_process(triggered_by=BY, dry_run=True, budget_seconds=0)

    reasons = [each.reason for each in limited.loans]
    assert reasons == [HoldReason.TOP_UP.label, "", rehearse.BEYOND_LIMIT]
    assert (late.loans, late.has_more) == ([], True)


@real
def test_a_dry_run_needs_no_more_settings_than_the_pass(partner, peers, monkeypatch):
    mifos, _ = peers
    loan = make_loan(partner)
    mifos.know(loan)
    mifos.approved_loans = lambda: iter([[detail_of(loan)]])
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)
    Partner.objects.update(is_mpesa_configured=False)

    [result] = run_process(triggered_by=BY, dry_run=True).results

    assert (result.error, [each.reason for each in result.loans]) == (
        "",
        [HoldReason.NOT_CONFIGURED.label],
    )


@real
def test_a_named_partner_that_is_not_set_up_is_told_so(partner):
    Partner.objects.update(is_mifos_configured=False)

    report = run_fetch(triggered_by=BY, partners=[partner.slug])

    assert not report.success
    assert run_fetch(triggered_by=BY).results == []


@real
def test_what_the_time_cut_off_after_paying_is_told(partner, peers, monkeypatch):
    def slowly(*_: object, **__: object) -> int:
        time.sleep(0.3)
        return 0

    monkeypatch.setattr(serve, "ask_the_silent", slowly)

    assert run_process(triggered_by=BY, budget_seconds=0.2).has_more
    assert not run_process(triggered_by=BY, budget_seconds=20).has_more


def test_a_second_look_takes_no_free_loans_place_under_a_limit(partner):
    long_ago = NOW - timedelta(days=9)
    held = make_loan(
        partner,
        hold_reason=HoldReason.HOLIDAY,
        next_attempt_at=NOW,
        approved_on=timezone.localdate(long_ago),
    )
    free = make_loan(partner)

    assert due_loans(partner, limit=1, now=NOW) == [free.pk]
    assert due_loans(partner, now=NOW) == [free.pk, held.pk]


@real
def test_a_dry_run_sees_the_retry_that_the_pass_would_begin_with(partner, peers, monkeypatch):
    mifos, _ = peers
    loan = make_loan(partner, status=LoanStatus.FAILED, next_attempt_at=NOW - timedelta(hours=1))
    make_attempt(loan, status="failed")
    mifos.know(loan)
    mifos.approved_loans = lambda: iter([[detail_of(loan)]])
    monkeypatch.setattr(rehearse, "mifos_client", lambda partner: mifos)

    [told] = run_process(triggered_by=BY, dry_run=True).loans

    assert told.outcome == LoanOutcome.WOULD_PAY
    assert again(loan).status == LoanStatus.FAILED
