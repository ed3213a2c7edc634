"""One sentence each about the payout protocol, over the state machine's world and its oracle."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from campaigns.statemachine_house import STRANGER, House, open_house, staff
from campaigns.statemachine_oracle import Oracle
from campaigns.statemachine_rail import AT_THE_GATE, UNCERTAIN, Plan
from campaigns.statemachine_rules import changed
from disbursements import resolve, retry
from disbursements.models import DisbursementRequest, ResolutionOutcome
from disbursements.record import Books, record_one
from disbursements.sending import note_answer
from loans import approvals, holding
from loans.models import LoanTracking
from mpesa.client import MpesaRefused
from mpesa.models import MpesaCallback, Shortcode
from partners import pausing
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.rules import touch_rules

pytestmark = [pytest.mark.campaign, pytest.mark.django_db(transaction=True)]
MINUTE, HOUR = 60, 3600


class World:
    """A house with one lender, and short words for what tests do with it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.oracle = Oracle(house)
        self.lender = house.open_lender()
        self.tenant = self.lender.tenant
        self.rail = house.rail
        self.oracle.watch(self.lender)
        self.rail.deliver = self.bring

    def sync(self, *plans: Plan, after: float = 0, crash_at: int | None = None) -> None:
        """Let seconds pass, then run a pass whose sends go as planned."""
        self.house.clock.advance(after)
        self.rail.plans[:] = plans
        self.house.sync(crash_at=crash_at)
        self.rail.plans.clear()
        self.oracle.look_around()

    def bring(self, letter, **how):
        self.oracle.hear(letter)
        return self.house.deliver(letter, **how)

    def settle(self):
        """M-Pesa finishes what it has queued and tells us."""
        self.rail.settle_queued()
        while self.rail.letters:
            self.bring(self.rail.letters.pop(0))
        self.oracle.look_around()

    def answer(self, says="truth"):
        """M-Pesa answers every open question."""
        while self.rail.questions:
            self.bring(self.rail.answer_question(self.rail.questions.pop(0), says))
        self.oracle.look_around()

    def pay(self):
        """Approve a loan and have it paid, and not yet recorded."""
        book = self.lender.approve()
        self.sync()
        self.settle()
        return book

    def loan(self, book):
        return LoanTracking.objects.filter(partner=self.lender.partner).get(loan_id=book.loan_id)

    def attempt(self, book):
        return self.loan(book).attempts.order_by("-attempt_no").first()

    def statuses(self, book):
        return (self.loan(book).status, [a.status for a in self.loan(book).attempts.order_by("id")])

    @property
    def now(self):
        return self.house.clock.now()

    @property
    def sent(self):
        return len(self.rail.requests)


@pytest.fixture
def world():
    with open_house() as house:
        world = World(house)
        yield world
        world.oracle.look_around()


# Sending


def test_a_loan_is_paid_net_and_recorded_gross(world):
    book = world.pay()
    world.sync(after=MINUTE)

    assert world.statuses(book) == ("disbursed", ["completed"])
    assert [posting.amount for posting in book.postings] == [Decimal(5000)]
    assert [payment.amount for payment in world.rail.payments.values()] == [Decimal(4800)]


@pytest.mark.parametrize("answer", UNCERTAIN)
@pytest.mark.parametrize("fate", ["pays", "never"])
def test_an_unclear_answer_opens_no_second_attempt(world, answer, fate):
    book = world.lender.approve()
    world.sync(Plan(answer, fate))
    world.sync(after=30 * MINUTE)
    world.answer()

    assert len(world.rail.sends) == 1
    assert world.statuses(book)[0] == "processing_disbursement"


@pytest.mark.parametrize("answer", sorted(set(AT_THE_GATE) - {"dead_token", "no_product"}))
def test_a_refusal_at_the_gate_moves_no_money(world, answer):
    world.lender.approve()
    world.sync(Plan(answer))

    assert world.sent == 1
    assert not world.rail.payments


def test_two_times_not_found_allow_the_same_id_once_more(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "never"))
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer()
    world.sync(after=MINUTE)

    assert [len(sends) for sends in world.rail.sends.values()] == [2]
    world.settle()
    world.sync(after=MINUTE)
    assert world.statuses(book) == ("disbursed", ["completed"])


def test_one_answer_brought_twice_is_not_two_answers(world):
    world.lender.approve()
    world.sync(Plan("timeout", "never"))
    world.sync(after=HOUR)
    [question] = world.rail.questions
    letter = world.rail.answer_question(question)
    for _ in range(3):
        world.bring(letter)
        world.house.clock.advance(20 * MINUTE)
    world.rail.questions.clear()
    world.sync()

    assert world.sent == 1


def test_a_late_effect_after_the_resend_pays_once(world):
    world.lender.approve()
    world.sync(Plan("timeout", "late"))
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer()
    world.sync(Plan("timeout", "pays"), after=MINUTE)
    for ocid in list(world.rail.lost_in_queue):
        world.rail.land_late(ocid)
    world.settle()

    assert sum(payment.is_paid for payment in world.rail.payments.values()) == 1


def test_a_duplicate_refusal_is_a_question_and_no_failure(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "pays"))
    world.rail.settle_queued()
    world.rail.letters.clear()
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer("2033")  # the index lags behind
    world.sync(after=MINUTE)

    assert [len(sends) for sends in world.rail.sends.values()] == [2]
    assert world.statuses(book)[1] == ["unknown"]
    world.sync(after=6 * MINUTE)
    world.answer()
    assert world.statuses(book)[1] == ["paid"]


def test_an_id_that_is_a_duplicate_and_not_found_is_for_a_person(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "refuses", code="21"))  # refused before there is a transaction
    world.rail.settle_queued()
    world.rail.letters.clear()
    for pause in (6 * MINUTE, HOUR, MINUTE, 6 * MINUTE):
        world.sync(after=pause)
        world.answer()
    for _ in range(3):
        world.sync(after=2 * HOUR)
        world.answer()

    assert world.sent == 2
    assert world.statuses(book)[1] == ["unknown"]
    assert world.loan(book).review_reason == "outcome_unknown"


def test_a_refusal_at_the_gate_of_a_resend_does_not_undo_the_first_doubt(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "late"))
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer()
    world.sync(Plan("bad_request"), after=MINUTE)

    assert world.statuses(book)[1] == ["unknown"]


def test_a_throttled_send_may_have_passed(world):
    """What may not be sent again now is asked about, and never withdrawn as unsent."""
    book = world.lender.approve()
    world.sync(Plan("spike_arrest", "pays"))
    world.tenant.clients[book.client_id].is_active = False
    world.sync(after=10 * MINUTE)
    assert world.statuses(book)[1] == ["unknown"]

    world.sync(after=MINUTE)
    world.rail.settle_queued()
    world.answer()
    assert world.statuses(book)[1] == ["paid"]


def test_an_answer_to_an_earlier_send_decides_nothing_about_a_later_one(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "never"))
    stale = world.attempt(book)
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer()
    DisbursementRequest.objects.filter(pk=stale.pk).update(
        send_count=2, sends_in_doubt=1, last_sent_at=world.now
    )
    note_answer(stale, MpesaRefused("late", code="400.002.02"), now=world.now)

    assert world.attempt(book).sends_in_doubt == 1


def test_the_process_may_die_anywhere_in_the_pass_that_pays(world):
    for step in range(1, 70):
        world.lender.approve(mobile=f"0722{step:06d}")
        world.sync(crash_at=step)
        world.settle()
    for pause in (6 * MINUTE, 6 * MINUTE, HOUR, HOUR, MINUTE, MINUTE):
        world.sync(after=pause)
        world.settle()
        world.answer()

    rows = LoanTracking.objects.filter(partner=world.lender.partner)
    assert world.house.crashes > 30
    assert set(rows.values_list("status", flat=True)) == {"disbursed"}
    assert all(payment.is_paid for payment in world.rail.payments.values())


def test_a_look_that_grew_too_old_is_taken_again(world):
    world.lender.approve()
    world.rail.token_delay = 30
    world.sync()

    assert world.sent == 1  # and the oracle measured the age of the look


def test_two_clients_are_paid_to_two_phones(world):
    world.lender.approve(mobile="0722000001")
    world.lender.approve(mobile="0733444555")
    world.sync()

    assert {str(each["PartyB"]) for each in world.rail.requests} == {"254722000001", "254733444555"}


def test_the_third_loan_of_a_list_in_pages_is_paid_too(world):
    books = [world.lender.approve() for _ in range(3)]
    world.sync()

    assert [world.statuses(book)[1] for book in books] == [["accepted"]] * 3


def test_two_lenders_pay_with_their_own_tokens(world):
    other = world.house.open_lender()
    world.oracle.watch(other)
    world.lender.approve()
    other.approve()
    world.sync()

    assert world.sent == 2


# What Mifos X shows at the last moment


@pytest.mark.parametrize("status", [100, 300, 400, 500])
def test_a_loan_that_left_the_list_after_the_poll_is_not_paid(world, status):
    book = world.lender.approve()
    world.tenant.faults["permissions"] = ["unreachable"]  # found, and not paid yet
    world.sync()
    book.status = status
    world.tenant.faults["list"] = ["unreachable"]
    world.sync(after=MINUTE)

    assert world.sent == 0
    assert world.statuses(book)[0] == "cancelled"


def test_a_number_that_changes_after_approval_waits_for_a_person(world):
    book = world.lender.approve(mobile="0722123646")
    world.tenant.faults["permissions"] = ["unreachable"]
    world.sync()
    world.tenant.clients[book.client_id].mobile = "0733-444-555"
    world.sync(after=MINUTE)

    assert world.sent == 0
    assert world.loan(book).hold_reason == "phone_changed"


def test_a_number_that_changes_before_a_resend_stops_it(world):
    book = world.lender.approve(mobile="0722123646")
    world.sync(Plan("timeout", "never"))
    for pause in (6 * MINUTE, HOUR):
        world.sync(after=pause)
        world.answer()
    world.tenant.clients[book.client_id].mobile = "0733-444-555"
    world.sync(after=MINUTE)

    assert world.sent == 1
    assert world.loan(book).review_reason == "mifos_changed"


def test_a_change_in_mifos_while_the_payment_is_open_touches_no_status(world):
    book = world.lender.approve()
    world.sync()
    book.principal, book.net = Decimal(7000), Decimal(6900)
    world.sync(after=MINUTE)

    assert world.statuses(book) == ("processing_disbursement", ["accepted"])
    assert world.attempt(book).principal == Decimal(5000)


def test_a_hook_for_a_loan_that_does_not_wait_leaves_nothing(world):
    book = world.lender.approve()
    book.status = 400
    world.house.hook(world.lender, book.loan_id)

    assert not LoanTracking.objects.filter(partner=world.lender.partner).exists()


def test_a_loan_disbursed_by_hand_and_undone_waits_for_a_person(world):
    book = world.lender.approve()
    world.tenant.faults["permissions"] = ["unreachable"]
    world.sync()
    world.tenant.disburse_by_hand(book)
    world.sync(after=MINUTE)
    world.tenant.undo_disbursal(book)
    world.sync(after=MINUTE)
    world.sync(after=MINUTE)

    assert world.sent == 0
    assert world.loan(book).hold_reason == "reopened"


# Results


def test_a_failure_alone_opens_nothing(world):
    book = world.lender.approve()
    world.sync(Plan(fate="refuses", code="2040"))
    world.settle()
    assert world.statuses(book)[1] == ["unknown"]

    world.sync(after=MINUTE)
    world.answer()
    assert world.statuses(book) == ("failed", ["failed"])


def test_a_false_failure_of_a_payment_goes_to_a_person(world):
    book = world.lender.approve()
    world.sync()
    world.rail.settle_queued()
    told = changed(world.rail.letters.pop(), ResultCode=2040, ResultParameters={})
    world.bring(replace(told, says="2040"))
    world.sync(after=MINUTE)
    world.answer()

    assert world.statuses(book)[1] == ["unknown"]
    assert world.loan(book).review_reason


def test_not_found_alone_never_proves_a_failure(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "late"))
    for pause in (6 * MINUTE, 5 * MINUTE, 10 * MINUTE):
        world.sync(after=pause)
        world.answer()

    assert world.statuses(book)[1] == ["unknown"]


def test_a_failure_after_a_success_changes_nothing_and_calls_a_person(world):
    book = world.pay()
    [payment] = world.rail.payments.values()
    world.bring(changed(world.rail.result_of(payment), ResultCode=2040, ResultParameters={}))

    assert world.attempt(book).status == "paid"
    assert world.loan(book).review_reason == "contradiction"


@pytest.mark.parametrize("lie", [{"amount": 99}, {"msisdn": "254700000001"}, {"receipt": ""}])
def test_a_success_of_something_else_is_no_success(world, lie):
    book = world.lender.approve()
    world.sync(Plan(fate="refuses", code="17"))
    world.rail.settle_queued()
    [payment] = world.rail.payments.values()
    world.bring(world.rail.result_of(payment, code="0", **{"receipt": "SKNLIE0001", **lie}))

    assert world.statuses(book)[1] == ["unknown"]


def test_a_letter_from_a_strange_address_is_kept_and_proves_nothing(world):
    book = world.lender.approve()
    world.sync()
    world.rail.settle_queued()
    letter = world.rail.letters.pop()
    assert world.house.deliver(letter, source=STRANGER) == 200

    assert world.statuses(book)[1] == ["accepted"]
    assert MpesaCallback.objects.latest("id").is_quarantined


@pytest.mark.parametrize("wrong", ["secret", "kind"])
def test_a_letter_at_a_wrong_address_is_not_taken(world, wrong):
    book = world.lender.approve()
    world.sync()
    world.rail.settle_queued()
    letter = world.rail.letters.pop()
    url = letter.url[:-4] + "AAAA" if wrong == "secret" else letter.url.replace("payout", "status")

    assert world.house.deliver_body(url, letter.body.encode()) == 404
    assert world.statuses(book)[1] == ["accepted"]


def test_a_result_may_overtake_the_answer(world):
    book = world.lender.approve()
    world.sync(Plan(letter_first=True))

    assert world.attempt(book).transaction_receipt
    world.sync(after=MINUTE)
    assert world.statuses(book) == ("disbursed", ["completed"])


def test_a_letter_that_was_kept_and_not_read_is_read_by_the_next_pass(world):
    world.lender.approve()
    world.sync()
    world.rail.settle_queued()
    letter = world.rail.letters.pop()
    world.oracle.hear(letter)
    for step in range(1, 9):  # no commit and no call further than this
        world.house.survive(lambda: world.house.deliver(letter), crash_at=step)
        world.oracle.look_around()

    assert MpesaCallback.objects.filter(request__kind="payment").exists()
    world.sync(after=MINUTE)
    attempts = DisbursementRequest.objects.filter(partner=world.lender.partner)
    assert [each.status for each in attempts] == ["completed"]


def test_a_credential_fault_stops_the_shortcode_until_a_person_acts(world):
    world.lender.approve()
    world.sync(Plan(fate="refuses", code="2001"))
    world.settle()
    books = [world.lender.approve() for _ in range(2)]
    world.sync(after=MINUTE)
    world.sync(after=MINUTE)

    assert world.sent == 1
    assert {world.loan(book).hold_reason for book in books} == {"breaker_open"}


def test_an_unread_credential_fault_stops_the_next_pass_before_it_pays(world):
    world.lender.approve()
    world.sync(Plan(fate="refuses", code="2001"))
    world.rail.settle_queued()
    letter = world.rail.letters.pop()
    for step in range(1, 3):  # the reader dies over the kept letter
        world.house.survive(lambda: world.bring(letter), crash_at=step)
    assert MpesaCallback.objects.filter(applied_at=None).exists()
    for _ in range(2):
        world.lender.approve()
    world.sync(after=MINUTE)

    assert world.sent <= 2


def test_a_float_shortage_pauses_the_queue_until_the_float_is_seen(world):
    world.rail.floats[world.lender.partner.mpesa_shortcode] = Decimal(10)
    first = world.lender.approve()
    world.sync()
    world.settle()
    second = world.lender.approve()
    world.sync(after=MINUTE)
    world.answer()
    assert world.loan(second).hold_reason == "float_short"

    world.rail.floats[world.lender.partner.mpesa_shortcode] = Decimal(1_000_000)
    for _ in range(4):
        world.sync(after=2 * MINUTE)
        world.answer()
        world.settle()
    assert world.statuses(first) == ("disbursed", ["failed", "completed"])
    assert world.statuses(second)[0] == "disbursed"


def test_silence_for_a_day_calls_a_person_and_fails_nothing(world):
    book = world.lender.approve()
    world.sync(Plan("accepted", "never"))
    for pause in (6 * MINUTE, HOUR, 25 * HOUR, 25 * HOUR):
        world.sync(after=pause)
        world.rail.questions.clear()

    assert world.statuses(book)[1] == ["accepted"]
    assert world.loan(book).review_reason == "outcome_unknown"


# Recording


def test_a_200_without_effect_is_no_record(world):
    book = world.pay()
    world.tenant.outcomes[:] = ["200_without_effect"]
    world.sync(after=MINUTE)
    assert world.statuses(book)[1] == ["paid"]

    assert not book.postings


def test_a_record_whose_answer_was_lost_is_found_and_not_repeated(world):
    book = world.pay()
    world.tenant.outcomes[:] = ["lost_after"]
    world.sync(after=MINUTE)
    world.sync(after=10 * MINUTE)

    assert len(book.postings) == 1
    assert world.statuses(book) == ("disbursed", ["completed"])


def test_a_waiting_checker_is_not_asked_twice(world):
    book = world.pay()
    posted = []
    world.tenant.on_post = posted.append
    world.tenant.needs_checker = True
    for _ in range(3):
        world.sync(after=2 * HOUR)
    [command] = world.tenant.commands
    assert len(posted) == 1
    world.tenant.decide(command, approve=True)
    world.sync(after=2 * HOUR)

    assert world.statuses(book) == ("disbursed", ["completed"])


def test_a_refused_record_gets_a_new_key_and_is_tried_again(world):
    book = world.pay()
    world.tenant.outcomes[:] = ["refused"]
    world.sync(after=MINUTE)
    assert world.loan(book).review_reason == "paid_not_recorded"

    world.sync(after=2 * HOUR)
    assert world.statuses(book) == ("disbursed", ["completed"])


def test_a_key_that_is_still_in_progress_is_kept(world):
    book = world.pay()
    keys = []
    world.tenant.on_post = lambda order: keys.append(order.idempotency_key)
    world.tenant.outcomes[:] = ["stuck"]
    for _ in range(3):
        world.sync(after=2 * HOUR)

    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert world.loan(book).review_reason == "paid_not_recorded"


def test_cash_paid_by_a_clerk_after_our_payment_is_a_possible_double_payment(world):
    book = world.pay()
    world.tenant.disburse_by_hand(book)
    world.sync(after=MINUTE)

    assert world.statuses(book)[1] == ["paid"]
    assert world.loan(book).review_reason == "double_payment"


def test_a_record_undone_by_a_person_is_never_posted_again(world):
    book = world.pay()
    world.tenant.outcomes[:] = ["lost_after"]
    world.tenant.faults["loan"] = []
    posted = []
    world.tenant.on_post = posted.append
    for step in range(1, 40):  # die right after the post
        world.house.clock.advance(10 * MINUTE)
        world.house.sync(crash_at=step)
        if book.postings:
            break
    world.tenant.undo_disbursal(book)
    for _ in range(3):
        world.sync(after=2 * HOUR)

    assert len(posted) == 1
    assert world.loan(book).review_reason == "undone_after_payment"


def test_a_principal_changed_after_the_payment_is_not_overwritten(world):
    book = world.pay()
    book.principal = Decimal(9000)
    world.sync(after=MINUTE)

    assert not book.postings
    assert book.principal == Decimal(9000)
    assert world.loan(book).review_reason == "mifos_changed"


def test_a_second_recorder_leaves_the_attempt_alone(world):
    book = world.pay()
    answers = []

    def meanwhile(order):
        if len(answers) == 0:
            answers.append(None)
            books = Books(partner=world.lender.partner, mifos=world.lender.mifos)
            answers.append(record_one(world.attempt(book).pk, books))

    world.tenant.on_post = meanwhile
    world.sync(after=MINUTE)

    assert answers == [None, False]
    assert world.statuses(book)[0] == "disbursed"


def test_a_payment_before_midnight_is_dated_on_its_day(world):
    world.house.clock.advance(14 * HOUR + 59 * MINUTE)  # from 9 in the morning to 23:59
    book = world.pay()
    world.sync(after=5 * MINUTE)

    assert [posting.on for posting in book.postings] == [date(2026, 11, 23)]
    assert world.tenant.today() == date(2026, 11, 24)


def test_a_loan_undone_after_it_was_paid_is_never_paid_again_by_itself(world):
    book = world.pay()
    world.sync(after=MINUTE)
    world.tenant.undo_disbursal(book)
    for _ in range(3):
        world.sync(after=HOUR)

    assert world.sent == 1
    assert world.loan(book).review_reason == "undone_after_payment"


def test_a_new_cycle_waits_for_a_second_person(world):
    book = world.pay()
    world.sync(after=MINUTE)
    world.tenant.undo_disbursal(book)
    world.sync(after=MINUTE)
    row = world.loan(book)
    fresh = holding.open_new_cycle(row.pk, actor="asha", reason="undone", now=world.now)
    world.lender.new_cycles[book.loan_id] = 1
    world.sync(after=MINUTE)
    world.sync(after=MINUTE)

    assert world.sent == 1
    fresh.refresh_from_db()
    assert fresh.hold_reason == "reopened"


# People and settings


def _approval_needed(world):
    LoanProductAutoDisbursalConfig.objects.filter(partner=world.lender.partner).update(
        auto_approve=False
    )
    book = world.lender.approve()
    world.sync()
    return book, world.loan(book)


def test_nobody_approves_what_they_asked_for(world):
    _, row = _approval_needed(world)
    approvals.request_approval(row.pk, by="asha", now=world.now)
    with pytest.raises(approvals.ApprovalRefused):
        _approve(world, row, staff()[0])
    world.sync(after=MINUTE)
    assert world.sent == 0

    _approve(world, row, staff()[1])
    world.sync(after=MINUTE)
    assert world.sent == 1


def _approve(world, row, person):
    approvals.approve_loan(
        row.pk,
        by=person,
        amount=row.net_disbursal_amount,
        phone_number=row.phone_number,
        reason="seen",
        now=world.now,
    )


def test_an_approval_is_for_one_amount_only(world):
    book, row = _approval_needed(world)
    _approve(world, row, staff()[1])
    book.principal, book.net = Decimal(9000), Decimal(8900)
    world.sync(after=MINUTE)

    assert world.sent == 0
    assert world.loan(book).hold_reason == "needs_approval"


def test_an_open_payment_cannot_be_tried_again_by_a_person(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "late"))
    with pytest.raises(retry.RetryRefused):
        retry.retry_loan(world.loan(book).pk, actor="asha", reason="now", now=world.now)
    world.sync(after=MINUTE)

    assert world.statuses(book) == ("processing_disbursement", ["unknown"])


def test_one_person_settles_nothing_alone(world):
    book = world.lender.approve()
    world.sync(Plan("timeout", "never"))
    proposal = resolve.propose(
        world.attempt(book).pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="not in the statement",
        by=staff()[0],
        now=world.now,
    )
    with pytest.raises(resolve.ResolutionRefused):
        resolve.confirm(proposal.pk, by=staff()[0], now=world.now)
    assert world.statuses(book)[1] == ["unknown"]

    resolve.confirm(proposal.pk, by=staff()[1], now=world.now)
    assert world.statuses(book) == ("failed", ["failed"])


@pytest.mark.parametrize("change", ["partner", "everybody", "inactive", "auto_off", "product"])
def test_what_is_switched_off_pays_nothing(world, change):
    partner, word = world.lender.partner, {"by": "asha", "reason": "drill", "now": world.now}
    match change:
        case "partner":
            pausing.pause_partner(partner, **word)
        case "everybody":
            pausing.pause_all(**word)
        case "inactive":
            Partner.objects.filter(pk=partner.pk).update(is_active=False)
        case "auto_off":
            Partner.objects.filter(pk=partner.pk).update(mifos_auto_disbursement_enabled=False)
        case "product":
            LoanProductAutoDisbursalConfig.objects.filter(partner=partner).update(enabled=False)
    touch_rules(partner, world.now)
    world.lender.approve()
    world.sync()

    assert world.sent == 0


def test_a_pause_between_two_loans_of_one_pass_stops_the_second(world):
    for _ in range(2):
        world.lender.approve()
    look = world.rail.on_send

    def pause_after_the_first(body):
        look(body)
        pausing.pause_partner(world.lender.partner, by="asha", reason="stop", now=world.now)

    world.rail.on_send = pause_after_the_first
    world.sync()

    assert world.sent == 1


def test_the_daily_limit_counts_what_is_open(world):
    Partner.objects.filter(pk=world.lender.partner.pk).update(daily_limit=Decimal(5000))
    for _ in range(2):
        world.lender.approve()
    world.sync()

    assert world.sent == 1


def test_a_held_loan_waits(world):
    book = world.lender.approve()
    world.tenant.faults["permissions"] = ["unreachable"]
    world.sync()
    holding.hold_loan(world.loan(book).pk, actor="asha", reason="wait", now=world.now)
    world.sync(after=MINUTE)
    assert world.sent == 0

    holding.release_loan(world.loan(book).pk, actor="asha", reason="go", now=world.now)
    world.sync(after=MINUTE)
    assert world.sent == 1


def test_a_loan_in_review_is_not_sent(world):
    book = world.lender.approve()
    world.tenant.faults["permissions"] = ["unreachable"]
    world.sync()
    LoanTracking.objects.filter(pk=world.loan(book).pk).update(
        review_reason="books_differ", review_since=world.now
    )
    world.sync(after=MINUTE)

    assert world.sent == 0


def test_the_database_refuses_a_second_open_attempt(world):
    book = world.lender.approve()
    world.sync()
    twin = world.attempt(book)
    twin.pk, twin.attempt_no = None, 2
    twin.originator_conversation_id, twin.mifos_external_id = "another", "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)


def test_a_stopped_shortcode_sends_nothing_that_was_claimed_before(world):
    world.lender.approve()
    place = world.lender.partner.mpesa_shortcode

    def stop(body):
        raise AssertionError("a request left a stopped shortcode")

    world.rail.on_send = stop
    world.rail.token_delay = 1
    Shortcode.objects.create(
        environment="sandbox",
        shortcode=place,
        breaker_opened_at=world.now + timedelta(seconds=0),
        breaker_cause="drill",
    )
    world.sync()

    assert world.sent == 0
