"""AUDIT 2: what the mends of the first audit left open, or opened."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from disbursements import rehearse, serve
from disbursements.claiming import Claim, Terms, claim
from disbursements.evidence import apply_verdict
from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    TriggeredBy,
)
from disbursements.pages.actions import possible_actions
from disbursements.pages.cases import read_cases
from disbursements.pages.doing import DO, Order, Refused
from disbursements.pages.partner_acting import CHANGE
from disbursements.passes import run_sync
from disbursements.process import due_loans, pay_loan
from disbursements.rehearse import rehearse_for
from disbursements.reports import LoanOutcome
from disbursements.resend import send_again
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.retry import retry_by_policy, retry_loan, retry_refusal
from disbursements.serve import Orders
from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter, status_answer, success
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, disbursal_of, make_shop
from disbursements.tests.test_pages_actions import make_user
from disbursements.verdicts import Proof, Verdict
from loans.approvals import ApprovalRefused, approve_loan, request_approval
from loans.decide import decide_pending
from loans.fetch import fetch_partner
from loans.models import ApprovalState, LoanStatus, LoanTracking, ReviewReason
from mpesa.models import CallbackKind, RequestKind
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.models import Partner
from tests.audit.test_24_whose_breaker import ticket_of

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
NOW = timezone.now()
LATE = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QD", code="0")


def people() -> tuple[User, User]:
    one, other = (User.objects.create(username=name) for name in ("otieno", "achieng"))
    return one, other


def settle_by_people(attempt: DisbursementRequest, outcome: str, receipt: str = "") -> None:
    one, other = people()
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome(outcome),
        receipt=receipt,
        reason="as the statement shows",
        by=one,
        now=timezone.now(),
    )
    confirm(said.pk, by=other, now=timezone.now())


def whole(partner: Partner) -> Partner:
    return Partner.objects.prefetch_related("products").get(pk=partner.pk)


def decided(loan: LoanTracking) -> LoanTracking:
    now = timezone.now()
    partner = whole(loan.partner)
    LoanTracking.objects.filter(pk=loan.pk).update(decided_at=None)
    decide_pending(partner, gate=None, now=now, today=timezone.localdate(now))
    return LoanTracking.objects.get(pk=loan.pk)


# A1 ------------------------------------------------------------- the review of another attempt


def two_attempts(
    second: AttemptStatus, **columns: Any
) -> tuple[LoanTracking, DisbursementRequest, DisbursementRequest]:
    loan = make_loan(status=LoanStatus.PROCESSING)
    first = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    return loan, first, make_attempt(loan, status=second, **columns)


def test_a1_both_failed_and_the_page_settles_the_last_one():
    loan, first, second = two_attempts(AttemptStatus.FAILED, result_code="2040", failed_at=NOW)
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.FAILED)
    apply_verdict(first.pk, LATE, now=NOW)
    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION
    [case] = read_cases([loan], "otieno")
    offered = getattr(case, "questioned", case.attempt)  # resolve_review offers the last, too

    with suppress(ResolutionRefused):
        settle_by_people(second, "not-paid")  # true: attempt 2 is not on the statement

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert retry_refusal(loan) != ""
    assert offered == first


def test_a1_attempt_2_is_settled_as_paid_and_the_double_payment_is_forgotten():
    loan, first, second = two_attempts(AttemptStatus.UNKNOWN)
    apply_verdict(first.pk, LATE, now=NOW)

    settle_by_people(second, "paid", "SGH0000001")

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION  # both were paid


def test_a1_attempt_2_is_recorded_and_the_page_offers_only_it():
    loan, first, _ = two_attempts(AttemptStatus.PAID)
    apply_verdict(first.pk, LATE, now=NOW)
    [case] = read_cases([LoanTracking.objects.get(pk=loan.pk)], "otieno")

    assert getattr(case, "questioned", case.attempt) == first


# A2 ------------------------------------------------ a second attempt's success is said nowhere


def test_a2_two_contradictions_and_settling_one_forgets_the_other():
    loan, first, second = two_attempts(
        AttemptStatus.UNKNOWN, result_code="2040", failure_reported_at=NOW
    )
    apply_verdict(second.pk, LATE, now=NOW)  # attempt 2: failed, then paid
    early = Verdict(proof=Proof.PAID, reason="late success", receipt="SGH7K2M9QE", code="0")
    apply_verdict(first.pk, early, now=NOW)  # attempt 1: failed, then paid

    settle_by_people(second, "not-paid")

    loan.refresh_from_db()
    assert loan.review_reason == ReviewReason.CONTRADICTION
    assert retry_refusal(loan) != ""


def test_a2_settling_attempt_1_lets_absence_fail_attempt_2_which_spoke_of_success():
    loan, first, second = two_attempts(
        AttemptStatus.UNKNOWN,
        result_code="1",
        failure_reported_at=NOW,
        last_sent_at=NOW - timedelta(hours=2),
    )
    apply_verdict(first.pk, LATE, now=NOW)
    paid = Verdict(proof=Proof.PAID, reason="paid", receipt="SGH7K2M9QE", code="0")
    apply_verdict(second.pk, paid, now=NOW)
    settle_by_people(first, "not-paid")

    absent = Verdict(proof=Proof.NOT_FOUND, reason="not found", code="2033")
    apply_verdict(second.pk, absent, asked_at=timezone.now(), now=timezone.now())

    assert DisbursementRequest.objects.get(pk=second.pk).status == AttemptStatus.UNKNOWN
    retry_by_policy(loan.partner, now=timezone.now() + timedelta(minutes=1))
    assert LoanTracking.objects.get(pk=loan.pk).status != LoanStatus.PENDING


# A3 --------------------------------------------------------- a review that nobody can ever end


def test_a3_a_review_of_a_loan_without_attempts_can_be_ended():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    other = make_attempt(make_loan(partner, status="disbursed"), status="completed")
    mifos = FakeMifos()
    mifos.know(loan, disbursals=(disbursal_of(other, is_reversed=False, external_id="x"),))
    pay_loan(loan.pk, make_shop(whole(partner), mifos, FakeMpesa()))
    loan.refresh_from_db()
    held = [one for one in ("review_reason", "staff_hold") if getattr(loan, one)]
    assert held

    # The lender mends its books; nobody can tell Loan Poll.
    [case] = read_cases([loan], "otieno")
    ways = {one.name for one in possible_actions(case) if not one.why_not}
    assert ways & {"resolve", "release"}, ways


# A4 --------------------------------------------------- the resend does not see earlier disbursals


@pytest.mark.parametrize("is_reversed", [True, False])
def test_a4_what_never_left_is_not_sent_after_a_disbursement_by_hand(is_reversed):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan, status=AttemptStatus.SUBMITTING, resend_at=NOW, sends_in_doubt=0, conversation_id=""
    )
    by_hand = disbursal_of(attempt, is_reversed=is_reversed, external_id="", receipt_number="CASH")
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, disbursals=(by_hand,))

    send_again(attempt.pk, make_shop(whole(partner), mifos, mpesa))

    assert mpesa.orders == []


# A5 ------------------------------------------------------- the asker of a payout approves it


def held_again(loan: LoanTracking, by: str) -> LoanTracking:
    retry_loan(loan.pk, actor=by, reason="again", now=timezone.now())
    loan = decided(loan)
    assert loan.hold_reason == "needs_approval"
    return loan


def approve(loan: LoanTracking, by: User) -> None:
    approve_loan(
        loan.pk,
        by=by,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        reason="fine",
        now=timezone.now(),
    )


def test_a5_an_open_request_of_before_forgets_who_asked_to_pay_again():
    partner = make_partner()
    product = make_product(partner, auto_approve=False)
    loan = decided(make_loan(partner))
    assert loan.hold_reason == "needs_approval"  # asked for by the rules
    # The rule is changed, the loan is paid by itself, and fails; the rule is changed back.
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.FAILED, hold_reason="")
    make_attempt(loan, status=AttemptStatus.FAILED)
    assert not product.auto_approve
    otieno, _ = people()

    with pytest.raises(ApprovalRefused, match="another person"):
        approve(held_again(loan, "otieno"), otieno)


def test_a5_an_older_asker_hides_the_one_who_asked_to_pay_again():
    partner = make_partner()
    make_product(partner, auto_approve=False)
    loan = decided(make_loan(partner))
    _, achieng = people()
    request_approval(loan.pk, by="otieno", now=NOW)
    approve(loan, achieng)
    LoanTracking.objects.filter(pk=loan.pk).update(status=LoanStatus.FAILED, hold_reason="")
    make_attempt(loan, status=AttemptStatus.FAILED)

    with pytest.raises(ApprovalRefused, match="another person"):
        approve(held_again(loan, "achieng"), achieng)


# A6 --------------------------------------------------- an open attempt that is paid today


def test_a6_what_was_open_since_yesterday_and_is_paid_today_counts_today():
    partner = make_partner(daily_limit=12_500)
    make_product(partner)
    now = timezone.now()
    old = make_loan(partner, status="processing_disbursement")
    yesterday = now - timedelta(days=1)
    attempt = make_attempt(old, status="unknown", created_at=yesterday)
    paid = Verdict(
        proof=Proof.PAID, reason="paid", receipt="SGH7K2M9QD", code="0", completed_at=now
    )
    apply_verdict(attempt.pk, paid, now=now)  # the money went out today
    loan = make_loan(partner)
    partner = whole(partner)

    claimed = claim(
        loan.pk,
        seen=partner,
        terms=Terms.of(loan),
        today=timezone.localdate(now),
        triggered_by=TriggeredBy.SCHEDULE,
        now=now,
    )

    assert not isinstance(claimed, Claim)


# A7 ------------------------------------------------- letters from an address not on the list


def test_a7_the_same_letters_in_the_other_order_pay_twice():
    """Success (stale list of addresses) before the failure is closed: nobody is called."""
    loan = make_loan(status=LoanStatus.PROCESSING)
    attempt = make_attempt(loan, last_sent_at=NOW - timedelta(hours=2))
    request = ask(attempt)
    fails = letter(request, CallbackKind.PAYMENT_RESULT, failure(attempt, "1"))
    apply_callback(fails.pk)
    doubtful = letter(request, CallbackKind.PAYMENT_RESULT, success(attempt), is_quarantined=True)
    apply_callback(doubtful.pk)
    question = ask(attempt, RequestKind.STATUS)
    answer = letter(question, CallbackKind.STATUS_RESULT, status_answer(attempt, code="2033"))
    apply_callback(answer.pk)

    retry_by_policy(loan.partner, now=timezone.now() + timedelta(minutes=1))

    loan.refresh_from_db()
    assert loan.review_reason, loan.status  # after the close the same letter calls a person
    assert loan.status != LoanStatus.PENDING


def test_a7_a_doubtful_letter_keeps_the_true_one_from_stopping_the_shortcode():
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    request, body = ask(attempt), success(attempt)
    doubtful = letter(request, CallbackKind.PAYMENT_RESULT, body, is_quarantined=True)
    apply_callback(doubtful.pk)
    assert not is_stopped(*PLACE)

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, body).pk)

    assert is_stopped(*PLACE)


# A8 ------------------------------------------------------------------------ the dry run


@pytest.mark.django_db(transaction=True)  # the threads have connections of their own
@pytest.mark.parametrize("case", ["undone", "standing", "review", "phone"])
def test_a8_the_dry_run_says_what_the_pass_does(case, monkeypatch: pytest.MonkeyPatch):
    partner = make_partner()
    make_product(partner)
    review = {"review_reason": ReviewReason.DOUBLE_PAYMENT} if case == "review" else {}
    loan = make_loan(partner, **review)
    other = make_attempt(make_loan(partner, status="disbursed"), status="completed")
    mifos, mpesa = FakeMifos(), FakeMpesa()
    earlier = disbursal_of(other, is_reversed=case == "undone", external_id="")
    mifos.know(loan, disbursals=(earlier,) if case in {"undone", "standing"} else ())
    if case == "phone":
        client = mifos.clients[loan.client_id]
        mifos.clients[loan.client_id] = dataclasses.replace(client, mobile_number="0711000999")
    monkeypatch.setattr(rehearse, "mifos_client", lambda _: mifos)
    orders = Orders(
        triggered_by=TriggeredBy.SCHEDULE, started_at=timezone.now(), loan_id=loan.loan_id
    )

    [told] = rehearse_for(whole(partner), orders).loans

    due = due_loans(partner, now=timezone.now())
    for pk in due:
        pay_loan(pk, make_shop(whole(partner), mifos, mpesa))
    assert mpesa.orders == []
    assert told.outcome == LoanOutcome.HELD


# A9 ----------------------------------------------------------------------- the deadline


class OnePage(FakeMifos):
    def approved_loans(self) -> Iterator[list[Any]]:
        yield list(self.loans.values())


def test_a9_a_poll_that_begins_late_keeps_the_page_that_it_read():
    partner = make_partner()
    make_product(partner)
    mifos = OnePage()
    mifos.know(make_loan(loan_id=4_711))

    report = fetch_partner(whole(partner), mifos, now=timezone.now(), deadline=time.monotonic() - 1)

    # One page was asked for and answered; it was thrown away, and told as an endless list.
    assert LoanTracking.objects.filter(partner=partner, loan_id=4_711).exists()
    assert (report.error, report.has_more) == ("", True)
    assert "before the end of the list" in whole(partner).last_error


# A10 -------------------------------------------------------------- held for ever


def test_a10_a_principal_above_the_approved_one_is_looked_at_again():
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan, approved_principal=Decimal(10_000))
    pay_loan(loan.pk, make_shop(whole(partner), mifos, mpesa))
    assert LoanTracking.objects.get(pk=loan.pk).hold_reason
    mifos.know(loan)  # corrected in Mifos X: nothing of our columns changes

    later = timezone.now() + timedelta(days=3)
    decide_pending(whole(partner), gate=None, now=later, today=timezone.localdate(later))

    assert loan.pk in due_loans(partner, now=later)


# A11 ------------------------------------------------------------------- the breaker


def test_a11_an_answer_delivered_twice_stops_the_shortcode_twice():
    """AUDIT 21 was mended for payments only."""
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING), status=AttemptStatus.UNKNOWN)
    question, body = ask(attempt, RequestKind.STATUS), status_answer(attempt, code="2001")
    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)
    assert is_stopped(*PLACE)
    reset_breaker(*PLACE)

    apply_callback(letter(question, CallbackKind.STATUS_RESULT, body).pk)

    assert not is_stopped(*PLACE)


def test_a11_a_page_that_did_not_show_the_refused_credential_resets_nothing(client: Any):
    make_partner(slug="umoja")
    client.force_login(make_user("ann.k", "partners.view_partner", CHANGE))
    contradicts = "M-Pesa contradicts itself"
    open_breaker(*PLACE, cause=contradicts, now=timezone.now(), is_credential_refused=False)
    told = {"reason": "Looked into it", "ticket": ticket_of(client)}
    open_breaker(*PLACE, cause="2001: credential refused", now=timezone.now())

    client.post("/partners/umoja/reset", told)

    assert is_stopped(*PLACE)


# A12 ------------------------------------------------- true, and cannot be said


def test_a12_two_people_can_say_that_a_failed_attempt_was_paid_after_all():
    """The runbook (contradiction.md, 2) says so. Else "not paid" is the only end of the review,
    and that lets one operator pay again."""
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", failed_at=NOW)
    apply_verdict(attempt.pk, LATE, now=NOW)

    settle_by_people(attempt, "paid", "SGH7K2M9QD")

    loan.refresh_from_db()
    assert loan.review_reason == ""
    assert retry_refusal(loan) != ""


# A13 -------------------------------------------------------- one tenant, two partners


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://mifos.example.co.ke:8443", "https://mifos.example.co.ke"),  # both ports allowed
        ("https://mifos.example.co.ke:443", "https://mifos.example.co.ke"),  # kept before today
    ],
)
def test_a13_one_server_on_two_ports_is_one_server(first, second, settings):
    """Fineract listens on 8443, its proxy on 443. Other shortcodes give other ids: paid twice."""
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False  # as in production
    make_partner(mifos_host_url=first, mpesa_shortcode="600001")
    other = make_partner(mpesa_shortcode="600002")
    other.mifos_host_url = second

    with pytest.raises(ValidationError):
        other.full_clean()


# A14 ------------------------------------------------- the lock holds while history is read


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL joins two indexes")
def test_a14_the_limit_is_counted_without_reading_all_of_the_partners_history():
    partner = make_partner(daily_limit=1_000_000)
    make_product(partner)
    loan = make_loan(partner)
    partner = whole(partner)
    with CaptureQueriesContext(connection) as told:
        claim(
            loan.pk,
            seen=partner,
            terms=Terms.of(loan),
            today=timezone.localdate(),
            triggered_by=TriggeredBy.SCHEDULE,
            now=timezone.now(),
        )
    sums = [each["sql"] for each in told if "SUM(" in each["sql"]]
    assert sums
    for sql in sums:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(row[3] for row in cursor.fetchall())
        assert "(partner_id=?)" not in plan, plan
        assert "created_at<?" not in plan, plan


# A15 --------------------------------------------- the hold that the approver did not see


def test_a15_an_approval_answers_the_hold_that_was_shown():
    partner = make_partner()
    make_product(partner, auto_approve=False)
    loan = decided(make_loan(partner, phone_number="254711111111"))
    assert loan.hold_reason == "needs_approval"
    otieno, _ = people()
    [case] = read_cases([loan], "otieno")  # read without a lock, compared with what was shown
    make_loan(partner, phone_number="254711111111")  # of another client; and a pass decides
    assert decided(loan).hold_reason == "phone_shared"

    order = Order(user=otieno, reason="known client", now=timezone.now())
    with contextlib.suppress(Refused, ApprovalRefused):
        DO["approve"](case, order)

    assert not loan.approvals.filter(state=ApprovalState.APPROVED).exists()


# A16 --------------------------------------------- a long list leaves no time for paying


class SlowList(FakeMifos):
    def approved_loans(self) -> Iterator[list[Any]]:
        for _ in range(60):
            time.sleep(0.1)
            yield list(self.loans.values())


@pytest.mark.django_db(transaction=True)
def test_a16_a_list_longer_than_the_budget_does_not_keep_due_loans_from_being_paid(
    monkeypatch: pytest.MonkeyPatch,
):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    mifos, mpesa = SlowList(), FakeMpesa()
    mifos.know(loan)
    monkeypatch.setattr(serve, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(serve, "mpesa_client", lambda _: mpesa)

    for _ in range(2):
        run_sync(triggered_by=TriggeredBy.API, budget_seconds=1)

    assert len(mpesa.orders) == 1
