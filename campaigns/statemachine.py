"""Four machines that do anything in any order: payouts, callbacks, records, and operators."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from campaigns.statemachine_house import PHONES, SAFARICOM, STRANGER
from campaigns.statemachine_mifos import ACTIVE, APPROVED, RECORD_OUTCOMES, SUBMITTED, WITHDRAWN
from campaigns.statemachine_oracle import require
from campaigns.statemachine_rail import Letter, Payment, Plan
from campaigns.statemachine_rules import (
    HouseMachine,
    afters,
    any_number,
    changed,
    crashes,
    pick,
    plans,
    seen,
    settled_payments,
)
from disbursements import resolve, retry
from disbursements.models import DisbursementRequest, ResolutionOutcome
from loans import approvals, holding
from loans.models import LoanTracking
from mpesa.models import MpesaCallback
from mpesa.shortcodes import reset_breaker
from partners import pausing
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.rules import touch_rules

EXAMPLES = int(os.environ.get("LOANPOLL_MACHINE_EXAMPLES", "20"))
STEPS = int(os.environ.get("LOANPOLL_MACHINE_STEPS", "12"))
SHRINKS = os.environ.get("LOANPOLL_MACHINE_SHRINK", "1") == "1"
REFUSALS = (
    retry.RetryRefused,
    resolve.ResolutionRefused,
    approvals.ApprovalRefused,
    holding.HoldRefused,
)
# What keeps a loan from being paid by a machine, and what does not.
NATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "net_unknown": {"net": None},
    "cents": {"net": Decimal("4800.50")},
    "below_10": {"principal": 9, "net": 9},
    "above_250000": {"principal": 260_000, "net": 255_000},
    "net_above_principal": {"net": 6_000},
    "foreign": {"currency": "USD"},
    "product_2": {"product_id": 2},
    "due_tomorrow": {"expected_on": date(2026, 11, 24)},
    "group": {"nature": {"is_group": True}},
    "top_up": {"nature": {"is_top_up": True}},
    "tranches": {"nature": {"is_multi_disburse": True}},
    "down_payment": {"nature": {"has_down_payment": True}},
    "charged_off": {"nature": {"is_charged_off": True}},
    "savings": {"nature": {"linked_savings_id": 7}},
}


def profile(*, examples: int = EXAMPLES, steps: int = STEPS) -> settings:
    """Return how many examples of how many steps; a failure prints a blob that repeats it."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink) if SHRINKS else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


LIES = (
    "success amount",
    "success msisdn",
    "success receipt",
    "failure 2040",
    "failure 1",
    "failure 17",
    "timeout",
    "reversed",
)
UNREADABLE = (
    b"",
    b"{",
    b"[]",
    b'{"Result": {"ResultCode": false}}',
    b"\xff\xfe",
    b'{"Result": 0}',
)
CLERK = ("amount", "number", "undo", "withdraw", "approve", "cash", "undo_cash", "client")
TROUBLES = {
    "no_list": "list unreachable",
    "no_loan": "loan unreachable",
    "no_client": "client unreachable",
    "no_login": "permissions credentials",
    "no_date": "business_date unreachable",
    "silent_token": "token silent",
    "refused_token": "token refused",
    "slow_token": "slow 11 0",
    "slow_reads": "slow 0 4",
    "slow_all": "slow 11 12",
}


class PayoutMachine(HouseMachine):
    """Loans of every kind change under our hands, while sends end in every way."""

    @rule(nature=st.sampled_from(sorted(NATURES)), mobile=st.sampled_from(sorted(PHONES)))
    @precondition(lambda self: len(self.books) < 4)
    def approve_odd_loan(self, nature: str, mobile: str) -> None:
        terms: dict[str, Any] = {"principal": 5_000, "net": 4_800, **NATURES[nature]}
        self.lender.approve(terms.pop("principal"), mobile=mobile, **terms)

    @rule(number=any_number, act=st.sampled_from(CLERK), mobile=st.sampled_from(sorted(PHONES)))
    def clerk(self, number: int, act: str, mobile: str) -> None:
        """Somebody changes the loan or its client in Mifos X."""
        loan, tenant = pick(self.books, number), self.lender.tenant
        match act:
            case "amount" if loan.status in {APPROVED, SUBMITTED}:
                loan.principal, loan.net = Decimal(4_000 + 500 * number), Decimal(3_900)
                tenant.approve(loan)
            case "number":
                tenant.clients[loan.client_id].mobile = mobile
            case "undo" | "withdraw" if loan.status == APPROVED:
                loan.status = SUBMITTED if act == "undo" else WITHDRAWN
            case "approve" if loan.status == SUBMITTED:
                tenant.approve(loan)
            case "cash" if loan.status == APPROVED:
                tenant.disburse_by_hand(loan)
            case "undo_cash" if loan.status == ACTIVE:
                tenant.undo_disbursal(loan)
            case "client":
                client = tenant.clients[loan.client_id]
                client.is_active = not client.is_active

    @rule(number=any_number, plan=plans)
    def hook(self, number: int, plan: Plan) -> None:
        self.house.rail.plans[:] = [plan]
        self.house.hook(self.lender, pick(self.books, number).loan_id)
        self.house.rail.plans.clear()

    @rule(trouble=st.sampled_from(sorted(TROUBLES)), plan=plans, after=afters)
    def sync_in_trouble(self, trouble: str, plan: Plan, after: str) -> None:
        """Mifos X or the token is away, or so slow that the last look grows too old."""
        rail, tenant = self.house.rail, self.lender.tenant
        self.house.clock.advance(3600)  # the token has died by now
        where, _, what = TROUBLES[trouble].partition(" ")
        match where:
            case "token":
                rail.token_trouble = what
            case "slow":
                rail.token_delay, tenant.read_delay = (float(each) for each in what.split())
            case _:
                tenant.faults[where] = [what]
        self.sync(plan=plan, crash_at=None, before=0, after=after)
        rail.token_trouble, rail.token_delay, tenant.read_delay = "", 0, 0
        tenant.faults.clear()


class CallbackMachine(HouseMachine):
    """Letters are lost, doubled, late, changed, forged, unreadable, and cross each other."""

    @initialize(plan=plans)
    def first_payment(self, plan: Plan) -> None:
        self.lender.approve(12_500, net=12_300)
        self.house.rail.plans[:] = [plan]
        self.house.sync()
        self.house.rail.settle_queued()

    @precondition(lambda self: settled_payments(self.house))
    @rule(number=any_number, crash_at=crashes)
    def result(self, number: int, crash_at: int | None) -> None:
        """The true result, once more or for the first time; the reader may die over it."""
        self.bring(self.house.rail.result_of(self.payment(number)), crash_at=crash_at)

    @precondition(lambda self: settled_payments(self.house))
    @rule(number=any_number, lie=st.sampled_from(LIES))
    def lie(self, number: int, lie: str) -> None:
        """A success or a failure that is not so, or says nothing, from the right address."""
        payment = self.payment(number)
        seen[f"told a lie: {lie}"] += 1
        match lie.split():
            case ["success", name]:
                self.bring(self.false_success(payment, name))
            case ["failure", code] if payment.is_paid:
                told = changed(
                    self.house.rail.result_of(payment), ResultCode=code, ResultParameters={}
                )
                self.bring(Letter(told.url, told.body, told.ocid, code))
            case ["timeout"]:
                told = self.house.rail.result_of(payment, code="1")
                self.bring(Letter(payment.timeout_url, told.body, payment.ocid, "timeout"))
            case ["reversed"] if payment.is_paid:
                self.say_reversed(payment)

    @precondition(lambda self: self.house.rail.payments)
    @rule(number=any_number, body=st.sampled_from(UNREADABLE))
    def unreadable(self, number: int, body: bytes) -> None:
        payment = pick(list(self.house.rail.payments.values()), number)
        status = self.house.deliver_body(payment.result_url, body, source=SAFARICOM)
        require(status == 200, "A5", "an unreadable letter was not taken")

    @precondition(lambda self: settled_payments(self.house))
    @rule(number=any_number, code=st.sampled_from(("0", "2040", "2001")))
    def from_a_stranger(self, number: int, code: str) -> None:
        """The right secret from an address that is not Safaricom's: kept, and proves nothing."""
        before = self.statuses()
        told = changed(self.house.rail.result_of(self.payment(number)), ResultCode=code)
        self.house.deliver(told, source=STRANGER)
        require(self.statuses() == before, "C08", "a letter from a stranger moved an attempt")

    @precondition(lambda self: settled_payments(self.house))
    @rule(number=any_number, door=st.sampled_from(("token", "slug", "kind", "crossed")))
    def wrong_address(self, number: int, door: str) -> None:
        """The right letter at a wrong address: nothing kept, nothing moved, no payment crossed."""
        letter = self.house.rail.result_of(self.payment(number))
        if door == "crossed":
            self.cross(self.payment(number + 1), letter)
            return
        urls = {
            "token": letter.url[:-1] + ("a" if letter.url[-1] != "a" else "b"),
            "slug": letter.url.replace("payout-result", "nothing"),
            "kind": letter.url.replace("payout-result", "status-result"),
        }
        before = (self.statuses(), MpesaCallback.objects.count())
        status = self.house.deliver_body(urls[door], letter.body.encode())
        require(status == 404, "C08", f"a wrong {door} was answered {status}")
        require((self.statuses(), MpesaCallback.objects.count()) == before, "C08", "it had effect")

    def false_success(self, payment: Payment, name: str) -> Letter:
        values: dict[str, object] = {"amount": 99, "msisdn": "254700000001", "receipt": ""}
        facts = {"receipt": "SKNLIE0001", name: values[name]}
        return self.house.rail.result_of(payment, code="0", **facts)

    def say_reversed(self, payment: Payment) -> None:
        """A status query that says Reversed is for a person."""
        for question in list(self.house.rail.questions):
            if question.ocid == payment.ocid:
                self.house.rail.questions.remove(question)
                self.bring(self.house.rail.answer_question(question, "Reversed"))

    def cross(self, mine: Payment, letter: Letter) -> None:
        """Another payment's true result in this one's envelope."""
        before = self.statuses()
        self.house.deliver_body(mine.result_url, letter.body.encode())
        after = self.statuses()
        other = DisbursementRequest.objects.get(originator_conversation_id=letter.ocid).pk
        own = mine.ocid == letter.ocid
        require(own or after[other] == before[other], "C09", "a crossed letter moved another")

    def payment(self, number: int) -> Payment:
        return pick(settled_payments(self.house), number)

    def statuses(self) -> dict[int, str]:
        rows = DisbursementRequest.objects.filter(partner=self.lender.partner)
        return dict(rows.values_list("pk", "status"))


class RecordMachine(HouseMachine):
    """What M-Pesa paid is told to a Mifos X that loses, refuses, repeats and asks a checker."""

    @initialize()
    def first_payment(self) -> None:
        self.lender.approve(12_500, net=12_300)
        self.lender.tenant.outcomes[:] = ["unreachable", "unreachable"]
        self.house.sync()
        self.house.rail.settle_queued()
        for letter in self.take_letters():
            self.bring(letter)

    @rule(outcomes=st.lists(st.sampled_from(RECORD_OUTCOMES), min_size=1, max_size=2), at=crashes)
    def record(self, outcomes: list[str], at: int | None) -> None:
        """A pass in which the posts to Mifos X end like this."""
        self.lender.tenant.outcomes[:] = outcomes
        self.house.clock.advance(400)
        self.house.sync(crash_at=at)
        self.lender.tenant.outcomes.clear()
        seen.update(f"recorded with {outcome}" for outcome in outcomes)

    @rule(number=any_number, act=st.sampled_from(("needed", "approve", "approve", "reject")))
    def checker(self, number: int, act: str) -> None:
        """Mifos X asks for a second person, who approves or rejects."""
        commands = list(self.lender.tenant.commands)
        if act == "needed":
            self.lender.tenant.needs_checker = not self.lender.tenant.needs_checker
        elif commands:
            self.lender.tenant.decide(pick(commands, number), approve=act == "approve")

    @rule(number=any_number, act=st.sampled_from(("cash", "undo", "undo", "amount", "withdraw")))
    def clerk(self, number: int, act: str) -> None:
        loan, tenant = pick(self.books, number), self.lender.tenant
        match act:
            case "cash" if loan.status == APPROVED:
                tenant.disburse_by_hand(loan)
            case "undo" if loan.status == ACTIVE:
                tenant.undo_disbursal(loan)
                seen["a disbursal was undone"] += 1
            case "amount" if loan.status == APPROVED:
                loan.principal, loan.net = Decimal(4_000 + 9_000 * (number % 2)), Decimal(3_800)
            case "withdraw" if loan.status == APPROVED:
                loan.status = WITHDRAWN

    @precondition(lambda self: self.rows)
    @rule(number=any_number)
    def new_cycle(self, number: int) -> None:
        """A person opens a new cycle of an undone loan, and another one approves it."""
        row, now = pick(self.rows, number), self.house.clock.now()
        with suppress(holding.HoldRefused):
            fresh = holding.open_new_cycle(row.pk, actor="asha", reason="undone", now=now)
            cycles = self.lender.new_cycles
            cycles[row.loan_id] = cycles.get(row.loan_id, 0) + 1
            seen["a new cycle"] += 1
            self.house.sync()
            self.approve_payout(fresh)

    def approve_payout(self, row: LoanTracking) -> None:
        request = row.approvals.filter(state="requested").first()
        if request is not None:
            with suppress(approvals.ApprovalRefused):
                approvals.approve_loan(
                    row.pk,
                    by=self.people[1],
                    amount=request.amount,
                    phone_number=request.phone_number,
                    reason="seen",
                    now=self.house.clock.now(),
                )

    @rule(fault=st.sampled_from(("unreachable", "credentials")), crash_at=crashes)
    def sync_while_reads_fail(self, fault: str, crash_at: int | None) -> None:
        self.lender.tenant.faults["loan"] = [fault]
        self.house.clock.advance(400)
        self.house.sync(crash_at=crash_at)
        self.lender.tenant.faults.clear()


PRODUCT_COLUMNS = ("enabled", "auto_approve", "max_amount")
SETTINGS: tuple[dict[str, Any], ...] = (
    {"is_active": False},
    {"is_active": True},
    {"mifos_auto_disbursement_enabled": False},
    {"mifos_auto_disbursement_enabled": True},
    {"enabled": False},
    {"enabled": True},
    {"auto_approve": False},
    {"auto_approve": True},
    {"max_amount": Decimal(4_000)},
    {"max_amount": Decimal(250_000)},
    {"daily_limit": Decimal(5_000)},
    {"daily_limit": Decimal(10_000)},
    {"daily_limit": None},
    {"resend_unknown": False},
    {"resend_unknown": True},
)


class OperatorMachine(HouseMachine):
    """Two lenders: at one, people and settings change all the time; the other feels nothing."""

    lenders = 2

    @initialize()
    def quiet_neighbour(self) -> None:
        self.house.lenders[1].approve(3_000, net=2_900)

    @rule(change=st.sampled_from(SETTINGS))
    def setting(self, change: dict[str, Any]) -> None:
        """An administrator changes the partner or its product."""
        partner = self.lender.partner
        columns = dict(change)
        product = {name: columns.pop(name) for name in PRODUCT_COLUMNS if name in columns}
        if product:
            LoanProductAutoDisbursalConfig.objects.filter(partner=partner).update(**product)
        if columns:
            Partner.objects.filter(pk=partner.pk).update(**columns)
        touch_rules(partner, self.house.clock.now())

    @rule(everybody=st.booleans(), paused=st.booleans())
    def pause(self, everybody: bool, paused: bool) -> None:
        word: dict[str, Any] = {"by": "asha", "reason": "drill", "now": self.house.clock.now()}
        if everybody:
            (pausing.pause_all if paused else pausing.resume_all)(**word)
        else:
            act = pausing.pause_partner if paused else pausing.resume_partner
            act(self.lender.partner, **word)

    @rule(change=st.sampled_from(("no float", "float", "2001", "8006", "well", "reset", "reset")))
    def rail(self, change: str) -> None:
        """The float, the credential, or the person who looks after both."""
        partner, rail = self.lender.partner, self.house.rail
        match change:
            case "no float" | "float":
                rail.floats[partner.mpesa_shortcode] = Decimal(0 if "no" in change else 1_000_000)
            case "reset":
                reset_breaker(partner.mpesa_environment, partner.mpesa_shortcode)
                self.oracle.forgive(partner.mpesa_shortcode)
            case _:
                code = "" if change == "well" else change
                rail.credential_trouble[partner.mpesa_shortcode] = code

    @precondition(lambda self: self.rows)
    @rule(
        number=any_number,
        act=st.sampled_from(("retry", "hold", "release", "approve", "decline", "request")),
        who=st.integers(0, 2),
    )
    def press(self, number: int, act: str, who: int) -> None:
        """A person presses a button; most of the time it is refused."""
        row, now = pick(self.rows, number), self.house.clock.now()
        name = self.people[who].get_username()
        with suppress(*REFUSALS):
            match act:
                case "retry":
                    retry.retry_loan(row.pk, actor=name, reason="again", now=now)
                    seen["a retry by a person"] += 1
                case "hold":
                    holding.hold_loan(row.pk, actor=name, reason="wait", now=now)
                case "release":
                    holding.release_loan(row.pk, actor=name, reason="go", now=now)
                case "request" if row.status == "pending_disbursement" and row.hold_reason:
                    approvals.request_approval(row.pk, by=name, now=now)
                case "decline":
                    approvals.decline_loan(row.pk, by=self.people[who], reason="no", now=now)
                case "approve":
                    self.approve_as(row, who)

    @precondition(lambda self: self.house.rail.requests)
    @rule(number=any_number, who=st.integers(0, 2), second=st.integers(0, 2))
    def settle_by_two(self, number: int, who: int, second: int) -> None:
        """People with the statement in hand say what it shows; they never guess."""
        attempts = DisbursementRequest.objects.filter(partner=self.lender.partner).order_by("id")
        if not attempts:
            return
        attempt = pick(list(attempts), number)
        payment = self.house.rail.payments.get(attempt.originator_conversation_id)
        is_paid = payment is not None and payment.is_paid
        if not is_paid and self.house.rail.could_still_pay(attempt.originator_conversation_id):
            return
        receipt = payment.receipt if payment and is_paid else ""
        outcome = ResolutionOutcome.PAID if is_paid else ResolutionOutcome.NOT_PAID
        with suppress(resolve.ResolutionRefused):
            proposal = resolve.propose(
                attempt.pk,
                outcome=outcome,
                receipt=receipt,
                reason="the statement shows it",
                by=self.people[who],
                now=self.house.clock.now(),
            )
            self.confirm(proposal.pk, who, second)

    def confirm(self, proposal: int, who: int, second: int) -> None:
        now = self.house.clock.now()
        if who == second:
            try:
                resolve.confirm(proposal, by=self.people[second], now=now)
            except resolve.ResolutionRefused:
                resolve.withdraw(proposal, by=self.people[who], now=now)
                return
            require(False, "O12", "one person settled an outcome alone")
        resolve.confirm(proposal, by=self.people[second], now=now)
        seen["settled by two"] += 1

    def approve_as(self, row: LoanTracking, who: int) -> None:
        request = row.approvals.filter(state="requested").first()
        if request is None:
            return
        approvals.approve_loan(
            row.pk,
            by=self.people[who],
            amount=request.amount,
            phone_number=request.phone_number,
            reason="seen",
            now=self.house.clock.now(),
        )
        own = request.requested_by == self.people[who].get_username()
        require(not own, "O12", "a person approved their own request")

    def at_the_end(self) -> None:
        """The neighbour was served as if nothing had happened next door (S19)."""
        super().at_the_end()
        neighbour = self.house.lenders[1].partner
        for row in LoanTracking.objects.filter(partner=neighbour):
            fine = row.status == "disbursed" and not row.review_reason
            require(fine, "S19", f"the neighbour's loan is {row.status} {row.review_reason}")


MACHINES = {
    "payout": PayoutMachine,
    "callback": CallbackMachine,
    "record": RecordMachine,
    "operators": OperatorMachine,
}
