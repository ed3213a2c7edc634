"""The rules that every machine shares: passes, letters, answers, time; and the healing."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns.statemachine_house import House, Lender, open_house, staff
from campaigns.statemachine_mifos import BookLoan
from campaigns.statemachine_oracle import PROVING, Broken, Oracle, require
from campaigns.statemachine_rail import ANSWERS, FAILURES, FATES, Letter, Payment, Plan
from disbursements.models import DisbursementRequest
from loans.models import LoanTracking
from mpesa.shortcodes import reset_breaker
from partners.models import LoanProductAutoDisbursalConfig, Partner, PayoutSwitch
from partners.rules import touch_rules

T = TypeVar("T")
MOST_LOANS = 3
MOST_PASSES = int(os.environ.get("LOANPOLL_MACHINE_PASSES", "6"))
# One example in so many is healed and brought to rest (L1); S and A hold after every step of all.
RESTS_ONE_IN = int(os.environ.get("LOANPOLL_MACHINE_RESTS_ONE_IN", "1"))
MINUTE, HOUR = 60, 3600
PAUSES = (0, 30, 6 * MINUTE, 11 * MINUTE, 61 * MINUTE, 61 * MINUTE, 7 * HOUR, 25 * HOUR)
GATE_HOLDS = {"all_paused", "partner_paused", "breaker_open", "float_short"}
any_number = st.integers(0, 5)
# None most of the time; else the process dies at that commit or call of the pass.
crashes = st.one_of(st.none(), st.none(), st.integers(1, 60))
afters = st.sampled_from(("world", "world", "nothing"))
plans = st.builds(
    Plan,
    answer=st.sampled_from(ANSWERS),
    fate=st.sampled_from(FATES),
    code=st.sampled_from(FAILURES),
    letter_first=st.sampled_from((False, False, True)),
    delay=st.sampled_from((0.0, 0.0, 70.0)),
)
seen: Counter[str] = Counter()  # what all examples of this process have visited


def pick(things: Sequence[T], number: int) -> T:
    return things[number % len(things)]


class HouseMachine(RuleBasedStateMachine):
    """One house, its world and its oracle. Subclasses add what may go wrong."""

    lenders = 1
    rests_one_in = RESTS_ONE_IN

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.house: House = self._stack.enter_context(open_house())
        PayoutSwitch.objects.all().delete()
        self.oracle = Oracle(self.house)
        self.people = staff()
        for _ in range(self.lenders):
            self.oracle.watch(self.house.open_lender())
        self.house.rail.deliver = self.overtake
        self.house.rail.victim = self.lender.partner.mpesa_shortcode
        self.is_broken = False
        self.comes_to_rest = True

    @property
    def lender(self) -> Lender:
        return self.house.lender

    @property
    def books(self) -> list[BookLoan]:
        return list(self.lender.tenant.loans.values())

    @property
    def rows(self) -> list[LoanTracking]:
        return list(LoanTracking.objects.filter(partner=self.lender.partner).order_by("id"))

    # What happens in every machine

    @initialize()
    def first_loan(self) -> None:
        self.lender.approve()

    @initialize(number=st.integers(1, 12))
    def choose_rest(self, number: int) -> None:
        """Drawn, not counted, so that an example ends the same way when it is replayed."""
        self.comes_to_rest = number % self.rests_one_in == 0

    @precondition(lambda self: len(self.books) < MOST_LOANS)
    @rule(principal=st.sampled_from((5_000, 12_500)))
    def approve_loan(self, principal: int) -> None:
        self.lender.approve(principal, net=principal - 200)

    @rule(plan=plans, crash_at=crashes, before=st.sampled_from(PAUSES), after=afters)
    def sync(self, plan: Plan, crash_at: int | None, before: int, after: str) -> None:
        """Let time pass, run one pass, and let the world react or not."""
        self.house.clock.advance(before)
        self.house.rail.plans[:] = [plan]
        self.house.sync(crash_at=crash_at)
        self.house.rail.plans.clear()
        self.react(after)

    def react(self, after: str) -> None:
        if after == "world":
            self.house.rail.settle_queued()
            for letter in self.take_letters():
                self.bring(letter)
            self.answer_truly()

    def answer_truly(self) -> None:
        while self.house.rail.questions:
            question = self.house.rail.questions.pop(0)
            letter = self.house.rail.answer_question(question)
            seen[f"answered {letter.says}"] += 1
            self.bring(letter)

    @precondition(lambda self: self.unsettled())
    @rule(way=st.sampled_from(("ok", "ok", "ok", "doubled", "lost", "kept")))
    def settle(self, way: str) -> None:
        """Let M-Pesa finish what it has queued, and send its letters, or lose them."""
        self.house.rail.settle_queued()
        for letter in self.take_letters():
            if way == "kept":
                self.house.rail.letters.append(letter)
            elif way != "lost":
                self.bring(letter)
            if way == "doubled":
                self.bring(letter)

    @precondition(lambda self: self.house.rail.lost_in_queue)
    @rule(number=any_number, lands=st.booleans())
    def late_request(self, number: int, lands: bool) -> None:
        """A request that was stuck on the way arrives now, or never will."""
        ocid = pick(sorted(self.house.rail.lost_in_queue), number)
        if lands:
            seen["a late effect lands"] += 1
            self.house.rail.land_late(ocid)
        else:
            self.house.rail.lose_late(ocid)

    @precondition(lambda self: self.house.rail.questions)
    @rule(
        number=any_number,
        says=st.sampled_from(("truth", "truth", "truth", "2033", "Pending", "17", "timeout")),
        way=st.sampled_from(("ok", "ok", "doubled", "lost", "kept")),
    )
    def answer(self, number: int, says: str, way: str) -> None:
        """Answer a status query: truly, not knowing, or not at all."""
        question = pick(self.house.rail.questions, number)
        self.house.rail.questions.remove(question)
        if says == "2033" and not self.may_be_missing(question.ocid):
            says = "truth"
        letter = self.house.rail.answer_question(question, says)
        seen[f"answered {letter.says}"] += 1
        if way == "kept":
            self.house.rail.letters.append(letter)
        elif way != "lost":
            self.bring(letter)
        if way == "doubled":
            self.bring(letter)

    @invariant()
    def books_agree(self) -> None:
        self.checked(self.oracle.look_around)

    # The world's own rules

    def unsettled(self) -> bool:
        rail = self.house.rail
        return bool(rail.letters) or any(p.state == "queued" for p in rail.payments.values())

    def may_be_missing(self, ocid: str) -> bool:
        """May an index not show this payment yet? Not after a failure of it was told: a false
        failure and a lagging index together are beyond what rule 7 can know."""
        payment = self.house.rail.payments.get(ocid)
        told = self.oracle.told.get(ocid, set())
        return payment is None or payment.state == "refused" or not told & (PROVING | {"17"})

    def take_letters(self) -> list[Letter]:
        letters, self.house.rail.letters[:] = list(self.house.rail.letters), []
        return letters

    def bring(self, letter: Letter, *, crash_at: int | None = None) -> int | None:
        """Bring a letter from Safaricom's address; what it says counts as evidence."""
        self.oracle.hear(letter)
        return self.house.survive(lambda: self.house.deliver(letter), crash_at=crash_at)

    def overtake(self, letter: Letter) -> None:
        """A result comes while its request is still waiting for the answer."""
        seen["a result overtook the answer"] += 1
        self.oracle.hear(letter)
        self.house.deliver(letter)

    def checked(self, check: object) -> None:
        try:
            check()  # a bound method of the oracle
        except BaseException:
            self.is_broken = True
            raise

    # Healing: every fault stops, people do what is theirs, and the house must come to rest

    def teardown(self) -> None:
        try:
            if self.comes_to_rest and not self.is_broken:
                self.heal()
                seen[f"passes to rest: {self.come_to_rest()}"] += 1
                self.at_the_end()
            seen.update(self.oracle.seen)
            seen["crashes"] += self.house.crashes
            seen["examples"] += 1
        finally:
            self._stack.close()

    def heal(self) -> None:
        rail = self.house.rail
        rail.plans.clear()
        rail.credential_trouble.clear()
        rail.token_trouble = rail.query_trouble = ""
        rail.token_delay = 0
        for ocid in list(rail.lost_in_queue):
            rail.land_late(ocid)
        for lender in self.house.lenders:
            rail.floats[lender.partner.mpesa_shortcode] = Decimal(1_000_000)
            lender.tenant.faults.clear()
            lender.tenant.outcomes.clear()
            lender.tenant.needs_checker, lender.tenant.read_delay = False, 0

    def restore(self, lender: Lender) -> None:
        """People switch everything on again."""
        partner = lender.partner
        Partner.objects.filter(pk=partner.pk).update(
            is_active=True, is_paused=False, mifos_auto_disbursement_enabled=True, daily_limit=None
        )
        PayoutSwitch.objects.all().delete()
        LoanProductAutoDisbursalConfig.objects.filter(partner=partner).update(enabled=True)
        touch_rules(partner, self.house.clock.now())
        reset_breaker(partner.mpesa_environment, partner.mpesa_shortcode)
        self.oracle.forgive(partner.mpesa_shortcode)

    def come_to_rest(self) -> int:
        """Run passes until nothing is left to do; return how many it took (L1)."""
        for number in range(1, MOST_PASSES + 1):
            self.world_answers()
            for lender in self.house.lenders:
                self.restore(lender)
            self.wait_until_due()
            self.house.sync()
            self.world_answers()
            self.checked(self.oracle.look_around)
            if not self.restless():
                return number
        self.is_broken = True
        raise Broken(f"L1: not at rest after {MOST_PASSES} passes: {self.restless()}")

    def world_answers(self) -> None:
        for lender in self.house.lenders:
            for number in list(lender.tenant.commands):
                lender.tenant.decide(number, approve=True)
        self.react("world")

    def wait_until_due(self) -> None:
        """Let time pass until every open payment has something due: then a pass is a step of L1."""
        now = self.house.clock.now()
        due = max(self.due_times(), default=now)
        self.house.clock.advance(max((due - now).total_seconds() + 1, 6 * MINUTE))

    def due_times(self) -> list[datetime]:
        partners = [each.partner.pk for each in self.house.lenders]
        attempts = DisbursementRequest.objects.filter(
            partner__in=partners,
            status__in=["submitting", "accepted", "unknown", "paid"],
            loan_tracking__review_reason="",
        )
        names = ("next_query_at", "next_record_at", "resend_at")
        turns = [[getattr(each, name) for name in names] for each in attempts]
        return [min(at for at in turn if at) for turn in turns if any(turn)]

    def restless(self) -> list[str]:
        """Name what still has to be done without a person."""
        partners = [each.partner.pk for each in self.house.lenders]
        rows = LoanTracking.objects.filter(partner__in=partners, review_reason="")
        return [
            f"loan {row.loan_id} {row.status} {row.hold_reason} {row.error_message}"
            for row in rows
            if self.is_restless(row)
        ]

    def is_restless(self, row: LoanTracking) -> bool:
        match row.status:
            case "processing_disbursement":
                return True
            case "pending_disbursement":
                return not row.hold_reason or row.hold_reason in GATE_HOLDS
            case "failed":
                return bool(row.next_attempt_at) and row.next_attempt_at <= self.house.clock.now()
        return False

    def at_the_end(self) -> None:
        """Every shilling that M-Pesa paid is in our book, in Mifos X's, or before a person."""
        for payment in self.house.rail.payments.values():
            if payment.is_paid:
                row = DisbursementRequest.objects.get(originator_conversation_id=payment.ocid)
                loan = row.loan_tracking
                known = row.status == "completed" or bool(loan.review_reason)
                require(known, "S11", f"{payment.ocid} was paid, and is {row.status} unseen")


def changed(letter: Letter, **values: object) -> Letter:
    """Return the letter with other values at the top of its result."""
    body = json.loads(letter.body)
    body["Result"].update(values)
    return replace(letter, body=json.dumps(body))


def settled_payments(house: House) -> list[Payment]:
    return [each for each in house.rail.payments.values() if each.state != "queued"]
