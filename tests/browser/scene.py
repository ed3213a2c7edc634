"""A lively desk for screenshots and for axe: lenders, people, and a loan in every state."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    SavedView,
    SyncRun,
)
from disbursements.resolve import propose
from disbursements.tests.making import (
    PAID,
    make_attempt,
    make_event,
    make_loan,
    make_partner,
    make_product,
    make_receipt,
)
from loans.models import HoldReason, LoanApproval, LoanStatus, LoanTracking
from mpesa.models import MpesaRequest, RequestKind, Shortcode
from partners.models import Partner

PASSWORD = "a-good-long-password"
ROLES = {
    "jane.o": ("Operator", "Approver"),
    "peter.n": ("Operator", "Approver"),
    "ann.k": ("Operator", "Approver", "Administrator"),
    "vera.w": ("Viewer",),
}
NAMES = (
    *("Achieng Mary", "Kamau Peter", "Wanjiru Grace", "Otieno Brian", "Chebet Faith"),
    *("Mwangi Samuel", "Nekesa Mercy", "Kiprono Kevin", "Mutua Esther", "Wambui Joyce"),
    *("Omondi Dennis", "Njeri Ruth", "Barasa Moses", "Hassan Amina", "Atieno Lilian"),
)
PRODUCTS = {1: "Biashara loan", 2: "Emergency loan", 3: "School fees"}
FAILURES = {
    "1": "The balance is insufficient for the transaction.",
    "2001": "The initiator information is invalid.",
    "17": "System internal error.",
    "8": "The receiver party would exceed its maximum balance.",
    "2040": "Credit Party customer type can't be supported by the service.",
}
HISTORY_DAYS = 30


class Scene:
    """The rows of the scene; `loans` names one loan of each state."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.dice = random.Random(7)
        self.loans: dict[str, LoanTracking] = {}
        self.users: dict[str, User] = {}

    def build(self) -> Scene:
        """Make everything; some hundreds of rows."""
        self.make_people()
        self.make_partners()
        self.make_history()
        self.make_open_loans()
        self.make_finished_loans()
        self.make_passes()
        return self

    def make_people(self) -> None:
        for name, roles in ROLES.items():
            user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
            user.groups.set(Group.objects.filter(name__in=roles))
            self.users[name] = user
        SavedView.objects.create(
            user=self.users["jane.o"], name="Umoja, not paid", query="?status=pending&partner=umoja"
        )

    def make_partners(self) -> None:
        now = self.now
        self.umoja = self._partner("umoja", "Umoja Sacco", "600100", minutes=2)
        self.tumaini = self._partner("tumaini", "Tumaini MFI", "600200", minutes=17)
        self.jijenge = self._partner(
            "jijenge",
            "Jijenge Trust",
            "600300",
            minutes=3,
            is_paused=True,
            paused_by="P. Njoroge",
            paused_at=now - timedelta(minutes=41),
            pause_reason="float audit",
        )
        for code, balance in (("600100", 390_000), ("600200", 52_000), ("600300", 18_000)):
            Shortcode.objects.create(
                environment="sandbox",
                shortcode=code,
                utility_balance=Decimal(balance),
                utility_balance_at=now - timedelta(minutes=4),
            )

    def _partner(self, slug: str, name: str, code: str, *, minutes: int, **others: Any) -> Partner:
        at = self.now - timedelta(minutes=minutes)
        partner = make_partner(
            slug=slug,
            name=name,
            mpesa_shortcode=code,
            last_polled_at=at,
            last_poll_succeeded_at=at,
            mpesa_credential_set_at=self.now - timedelta(days=74),
            **others,
        )
        for product_id, product in PRODUCTS.items():
            make_product(partner, product_id=product_id, product_name=product)
        return partner

    def make_history(self) -> None:
        """A month of payouts, made in bulk: charts need many."""
        loans = [self._past_loan(at) for at in self._past_times()]
        times = {id(loan): loan.created_at for loan in loans}
        LoanTracking.objects.bulk_create(loans)
        for loan in loans:
            loan.created_at = times[id(loan)]
        LoanTracking.objects.bulk_update(loans, ["created_at"], batch_size=200)
        attempts = [self._past_attempt(number, loan) for number, loan in enumerate(loans)]
        DisbursementRequest.objects.bulk_create(attempts)
        for attempt in attempts:
            attempt.created_at = attempt.first_sent_at or self.now
        DisbursementRequest.objects.bulk_update(attempts, ["created_at"], batch_size=200)

    def _past_times(self) -> list[datetime]:
        times = []
        for back in range(HISTORY_DAYS - 1, 0, -1):
            day = self.now - timedelta(days=back)
            many = 3 if timezone.localtime(day).weekday() == 6 else self.dice.randint(12, 26)
            times += [day - timedelta(minutes=self.dice.randint(0, 400)) for _ in range(many)]
        return times

    def _past_loan(self, found_at: datetime) -> LoanTracking:
        number = self.dice.randint(10_000, 10_000_000)
        product = self.dice.choice(list(PRODUCTS))
        amount = Decimal(self.dice.choice([3000, 5000, 8000, 12_500, 20_000, 30_000, 60_000]))
        failed = self.dice.random() < 0.04
        took = min(86_000, int(self.dice.lognormvariate(4.2, 0.8)))
        return LoanTracking(
            partner=self.dice.choice([self.umoja, self.umoja, self.tumaini, self.jijenge]),
            loan_id=number,
            account_number=f"{number:09d}",
            client_id=number,
            client_name=self.dice.choice(NAMES),
            phone_number=f"2547{self.dice.randint(0, 99_999_999):08d}",
            product_id=product,
            product_name=PRODUCTS[product],
            loan_amount=amount,
            net_disbursal_amount=amount - 200,
            currency="KES",
            status=LoanStatus.CANCELLED if failed else LoanStatus.DISBURSED,
            mpesa_receipt_number="" if failed else make_receipt(),
            disbursed_at=None if failed else found_at + timedelta(seconds=took),
            created_at=found_at,
        )

    def _past_attempt(self, number: int, loan: LoanTracking) -> DisbursementRequest:
        paid = bool(loan.mpesa_receipt_number)
        code = self.dice.choices(list(FAILURES), weights=[9, 1, 4, 3, 2])[0]
        return DisbursementRequest(
            loan_tracking=loan,
            partner_id=loan.partner_id,
            attempt_no=1,
            triggered_by="schedule",
            amount=loan.net_disbursal_amount or loan.loan_amount,
            principal=loan.loan_amount,
            msisdn=loan.phone_number,
            mpesa_environment="sandbox",
            mpesa_shortcode="600100",
            originator_conversation_id=f"LP-past-{number}",
            mifos_external_id=f"past-{number}",
            status=AttemptStatus.COMPLETED if paid else AttemptStatus.FAILED,
            send_count=1,
            result_code="0" if paid else code,
            transaction_receipt=loan.mpesa_receipt_number,
            first_sent_at=loan.created_at,
            paid_at=loan.disbursed_at - timedelta(seconds=4) if loan.disbursed_at else None,
        )

    def loan(self, key: str, *, minutes: float, partner: Partner | None = None, **columns: Any):
        """Make one named loan, found `minutes` ago, with the event that says so."""
        at = self.now - timedelta(minutes=minutes)
        number = len(self.loans)
        product = list(PRODUCTS)[number % 3]
        columns = {
            "loan_id": 10_482 + number,
            "client_name": NAMES[number % len(NAMES)],
            "phone_number": f"2547{12_345_678 + 1_111_111 * number:08d}",
            "product_id": product,
            "product_name": PRODUCTS[product],
            "created_at": at,
            **columns,
        }
        made = make_loan(partner or self.umoja, **columns)
        make_event(made, at=at, to_status=LoanStatus.PENDING, reason="Found in Mifos X, approved")
        self.loans[key] = made
        return made

    def sent(self, key: str, *, minutes: float, seconds: int = 3, **columns: Any) -> None:
        """Make an attempt of a named loan, and the events of its way."""
        loan, at = self.loans[key], self.now - timedelta(minutes=minutes)
        status = AttemptStatus(columns.get("status", AttemptStatus.ACCEPTED))
        attempt = make_attempt(
            loan,
            **{
                "first_sent_at": at,
                "last_sent_at": at,
                "accepted_at": at + timedelta(seconds=1),
                "created_at": at,
                **({"paid_at": at + timedelta(seconds=seconds)} if status in PAID else {}),
                **columns,
            },
        )
        make_event(
            loan,
            at=at,
            attempt=attempt,
            to_status=AttemptStatus.SUBMITTING,
            reason=f"Sending KES {attempt.amount:,.0f}",
        )
        if status != AttemptStatus.SUBMITTING:
            make_event(
                loan,
                at=at + timedelta(seconds=seconds),
                attempt=attempt,
                actor="M-Pesa",
                from_status=AttemptStatus.SUBMITTING,
                to_status=status,
                reason=columns.get("result_description", "")
                or f"Receipt {attempt.transaction_receipt}",
            )

    def make_open_loans(self) -> None:
        processing = LoanStatus.PROCESSING
        self.loan(
            "unknown",
            minutes=124,
            status=processing,
            review_reason="outcome_unknown",
            loan_amount=Decimal(12_500),
            net_disbursal_amount=Decimal(12_300),
        )
        self.sent(
            "unknown",
            minutes=123,
            status=AttemptStatus.UNKNOWN,
            unknown_at=self.now - timedelta(minutes=122),
            result_description="No answer within 60 s",
            query_count=2,
        )
        self.asked("unknown", "no answer yet")
        self.loan(
            "not_recorded",
            minutes=64,
            status=processing,
            review_reason="paid_not_recorded",
            error_message="Paid, and Mifos X refuses the record: the loan is closed",
            mpesa_receipt_number="SGH7K2M9QD",
            loan_amount=Decimal(30_000),
        )
        self.sent("not_recorded", minutes=63, status=AttemptStatus.PAID, record_tries=4)
        self.loan(
            "double",
            minutes=95,
            partner=self.tumaini,
            status=processing,
            review_reason="double_payment",
            mpesa_receipt_number="SGH4D81PLX",
            loan_amount=Decimal(8_000),
        )
        self.sent("double", minutes=94, status=AttemptStatus.PAID)
        self.loan("proposed", minutes=190, status=processing, review_reason="outcome_unknown")
        self.sent(
            "proposed",
            minutes=189,
            status=AttemptStatus.UNKNOWN,
            unknown_at=self.now - timedelta(minutes=188),
            result_description="Queue time-out",
        )
        self.asked("proposed", "no payment exists")
        propose(
            self.loans["proposed"].attempts.get().pk,
            outcome=ResolutionOutcome.NOT_PAID,
            receipt="",
            reason="Not in the statement of 23 November, lines 1 to 214",
            by=self.users["peter.n"],
            now=self.now - timedelta(minutes=12),
        )
        self.make_waiting_loans()
        self.loan("accepted", minutes=1, status=processing)
        self.sent("accepted", minutes=0.7)
        self.loan("paid", minutes=2, status=processing, mpesa_receipt_number="SGH9QW3E7R")
        self.sent("paid", minutes=1.5, status=AttemptStatus.PAID)

    def asked(self, key: str, outcome: str) -> None:
        attempt = self.loans[key].attempts.get()
        MpesaRequest.objects.create(
            kind=RequestKind.STATUS,
            environment="sandbox",
            shortcode="600100",
            originator_conversation_id=attempt.originator_conversation_id,
            token_digest=f"scene-{key}",
            sent_at=self.now - timedelta(minutes=20),
            outcome=outcome,
        )

    def make_waiting_loans(self) -> None:
        self.approval("approval", minutes=38, hold=HoldReason.NEEDS_APPROVAL)
        self.approval("mine", minutes=36, hold=HoldReason.NEEDS_APPROVAL, by="jane.o")
        self.loan("ready", minutes=4)
        self.loan("paused", minutes=35, partner=self.jijenge, loan_amount=Decimal(18_000))
        self.loan(
            "held",
            minutes=50,
            hold_reason=HoldReason.HELD_BY_STAFF,
            staff_hold="Held by jane.o: branch asked to wait",
            error_message="Held by jane.o: branch asked to wait",
        )
        self.loan(
            "phone", minutes=44, hold_reason=HoldReason.PHONE_INVALID, phone_number="0612 334 455"
        )

    def approval(self, key: str, *, minutes: float, hold: HoldReason, by: str = "system") -> None:
        loan = self.loan(
            key,
            minutes=minutes,
            hold_reason=hold,
            loan_amount=Decimal(85_000),
            error_message="KES 85,000 is above the approval threshold of 50,000",
        )
        LoanApproval.objects.create(
            loan_tracking=loan,
            amount=loan.net_disbursal_amount,
            phone_number=loan.phone_number,
            requested_by=by,
            requested_at=self.now - timedelta(minutes=minutes),
        )

    def make_finished_loans(self) -> None:
        for number, (code, words) in enumerate(list(FAILURES.items())[:3]):
            key = "failed" if number == 0 else f"failed {code}"
            amount = Decimal(5_000 + 1_000 * number)
            self.loan(key, minutes=70 - number, status=LoanStatus.FAILED, loan_amount=amount)
            self.sent(
                key,
                minutes=66 - number,
                status=AttemptStatus.FAILED,
                result_code=code,
                result_description=words,
            )
            self.asked(key, "no payment exists")
        for number in range(9):
            took = timedelta(seconds=58 + 7 * number)
            minutes = 80 + 9 * number
            key = "disbursed" if number == 0 else f"disbursed {number}"
            self.loan(
                key,
                minutes=minutes,
                status=LoanStatus.DISBURSED,
                disbursed_at=self.now - timedelta(minutes=minutes) + took,
            )
            self.sent(key, minutes=minutes - 0.2, seconds=18, status=AttemptStatus.COMPLETED)
        self.loan(
            "undone",
            minutes=600,
            status=LoanStatus.DISBURSED,
            review_reason="undone_after_payment",
            disbursed_at=self.now - timedelta(minutes=598),
        )
        self.sent("undone", minutes=599, status=AttemptStatus.COMPLETED)
        self.loan(
            "cancelled",
            minutes=150,
            status=LoanStatus.CANCELLED,
            error_message="Left Mifos X's waiting list: withdrawn by the applicant",
        )

    def make_passes(self) -> None:
        """A day of passes every five minutes; Tumaini's Mifos X was away, and cron once stood."""
        passes = []
        for back in range(0, 24 * 60, 5):
            if 380 < back < 440:
                continue
            at = self.now - timedelta(minutes=back + 2)
            passes.append(
                SyncRun(
                    command="sync",
                    triggered_by="schedule",
                    started_at=at,
                    finished_at=at + timedelta(seconds=4),
                    success=back >= 20,
                    summary=self._summary(back),
                )
            )
        SyncRun.objects.bulk_create(passes)

    def _summary(self, back: int) -> dict[str, Any]:
        away = "Mifos X did not answer within 60 s"
        errors = {"tumaini": away if back < 20 or 900 < back < 960 else ""}
        slugs = ["umoja", "tumaini", "jijenge"]
        fetch = [
            {
                "slug": slug,
                "error": errors.get(slug, ""),
                "approved": self.dice.randint(2, 14),
                "new_loans": self.dice.randint(0, 3),
            }
            for slug in slugs
        ]
        process = [{"slug": slug, "error": "", "paid": self.dice.randint(0, 3)} for slug in slugs]
        return {"fetch": fetch, "process": process}
