"""A Mifos X and an M-Pesa that answer from memory, for tests of single steps."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from disbursements.models import DisbursementRequest, TriggeredBy
from disbursements.reread import FreshLoan, Preflight
from disbursements.shop import Shop
from loans.models import LoanTracking
from mifos.client import (
    Calendar,
    Client,
    CommandState,
    Disbursal,
    Disbursed,
    LoanDetail,
    MifosNotFound,
    PaymentType,
)
from mpesa.client import Accepted, Asked
from partners.models import Partner

EVERY_DAY = Calendar(
    holidays=(), working_weekdays=None, allows_holidays=False, allows_non_working_days=False
)


def detail_of(loan: LoanTracking, **changes: Any) -> LoanDetail:
    """Return the loan as Mifos X shows it: approved, and just as our row says."""
    facts: dict[str, Any] = {
        "loan_id": loan.loan_id,
        "account_number": loan.account_number,
        "external_id": "",
        "status_id": 200,
        "client_id": loan.client_id,
        "client_name": loan.client_name,
        "office_id": 1,
        "product_id": loan.product_id,
        "product_name": loan.product_name,
        "principal": loan.loan_amount,
        "approved_principal": loan.loan_amount,
        "net_disbursal_amount": loan.net_disbursal_amount,
        "currency": loan.currency,
        "submitted_on": None,
        "approved_on": loan.approved_on,
        "expected_disbursement_date": loan.expected_disbursement_date,
        "actual_disbursement_date": None,
        "loan_type_id": 1,
        "is_top_up": False,
        "is_multi_disburse": False,
        "has_down_payment": False,
        "is_charged_off": False,
        "is_fraud": False,
        "linked_savings_id": None,
        "tranche_count": 0,
        "disbursals": (),
        "first_repayment_date": None,
        "has_account_transfer_charge": False,
    }
    return LoanDetail(**{**facts, **changes})


def client_of(loan: LoanTracking, **changes: Any) -> Client:
    """Return the loan's client as Mifos X shows it."""
    facts: dict[str, Any] = {
        "client_id": loan.client_id,
        "display_name": loan.client_name,
        "mobile_number": loan.phone_number,
        "is_active": True,
        "office_id": 1,
    }
    return Client(**{**facts, **changes})


def disbursal_of(attempt: DisbursementRequest, **changes: Any) -> Disbursal:
    """Return the attempt as Mifos X shows it once it is recorded."""
    facts: dict[str, Any] = {
        "transaction_id": 77,
        "amount": attempt.principal,
        "date": timezone.localdate(),
        "is_reversed": False,
        "external_id": attempt.mifos_external_id,
        "receipt_number": attempt.transaction_receipt,
        "account_number": attempt.msisdn,
    }
    return Disbursal(**{**facts, **changes})


def _answer(queue: deque[Any], usual: Any) -> Any:
    value = queue.popleft() if queue else usual
    if isinstance(value, BaseException):
        raise value
    return value


@dataclass
class FakeMifos:
    """`loans` and `clients` by id; `disburse_answers` and `states` are given one after another."""

    loans: dict[int, Any] = field(default_factory=dict)
    clients: dict[int, Any] = field(default_factory=dict)
    disburse_answers: deque[Any] = field(default_factory=deque)
    states: deque[Any] = field(default_factory=deque)
    allowed: frozenset[str] = frozenset({"DISBURSE_LOAN"})
    types: list[PaymentType] = field(
        default_factory=lambda: [
            PaymentType(payment_type_id=1, name="M-Pesa", is_cash=False),
            PaymentType(payment_type_id=2, name="Cash", is_cash=True),
        ]
    )
    on: date = field(default_factory=timezone.localdate)
    days: Any = EVERY_DAY
    orders: list[Any] = field(default_factory=list)
    unreadable_rows: tuple[str, ...] = ()
    reads: int = 0

    def know(self, loan: LoanTracking, **changes: Any) -> None:
        """Show this loan, and its client, as our row has them."""
        self.loans[loan.loan_id] = detail_of(loan, **changes)
        if loan.client_id is not None:
            self.clients[loan.client_id] = client_of(loan)

    def loan(self, loan_id: int) -> Any:
        self.reads += 1
        return _found(self.loans, loan_id)

    def client(self, client_id: int) -> Any:
        return _found(self.clients, client_id)

    def business_date(self, *, now: datetime) -> date:
        return self.on

    def permissions(self) -> frozenset[str]:
        return self.allowed

    def payment_types(self) -> list[PaymentType]:
        return self.types

    def calendar(self, *, office_id: int) -> Any:
        return _answer(deque([self.days]), None)

    def disburses_on_expected_date_only(self, product_id: int) -> bool:
        return False

    def command_state(self, command_id: int, *, loan_id: int) -> Any:
        return _answer(self.states, CommandState.AWAITING)

    def disburse(self, order: Any) -> Any:
        self.orders.append(order)
        return _answer(self.disburse_answers, Disbursed(loan_id=order.loan_id, status_id=300))


def _found(rows: dict[int, Any], key: int) -> Any:
    value = rows.get(key, MifosNotFound("there is none"))
    if isinstance(value, list):  # one after another, the last one for ever
        value = value.pop(0) if len(value) > 1 else value[0]
    if isinstance(value, BaseException):
        raise value
    return value


@dataclass
class FakeMpesa:
    """Accepts everything, unless `pay_answers` and their like say otherwise, one after another."""

    pay_answers: deque[Any] = field(default_factory=deque)
    status_answers: deque[Any] = field(default_factory=deque)
    balance_answers: deque[Any] = field(default_factory=deque)
    token_answers: deque[Any] = field(default_factory=deque)
    orders: list[Any] = field(default_factory=list)
    questions: list[Any] = field(default_factory=list)
    balance_questions: list[Any] = field(default_factory=list)
    while_paying: Any = None  # called when the request is on its way

    def prepare(self) -> None:
        _answer(self.token_answers, None)

    def pay(self, order: Any) -> Any:
        self.orders.append(order)
        if self.while_paying is not None:
            self.while_paying(order)
        usual = Accepted(
            conversation_id=f"AG_{len(self.orders)}",
            originator_conversation_id=order.originator_conversation_id,
            description="ok",
        )
        return _answer(self.pay_answers, usual)

    def ask_status(self, question: Any) -> Any:
        self.questions.append(question)
        return _answer(self.status_answers, Asked(conversation_id=f"AQ_{len(self.questions)}"))

    def ask_balance(self, question: Any) -> Any:
        self.balance_questions.append(question)
        usual = Asked(conversation_id=f"AB_{len(self.balance_questions)}")
        return _answer(self.balance_answers, usual)


def make_shop(partner: Partner, mifos: FakeMifos, mpesa: FakeMpesa, **changes: Any) -> Shop:
    """Open a pass of the partner on these peers."""
    mifos_like: Any = mifos
    facts: dict[str, Any] = {
        "partner": partner,
        "mifos": mifos,
        "mpesa": mpesa,
        "preflight": Preflight.read(partner, mifos_like, now=timezone.now()),
        "triggered_by": TriggeredBy.SCHEDULE,
    }
    return Shop(**{**facts, **changes})


def fresh_of(loan: LoanTracking, *, age: float = 0, **changes: Any) -> FreshLoan:
    """Return the loan as if it had been read `age` seconds ago."""
    return FreshLoan(
        loan=detail_of(loan, **changes), client=client_of(loan), read_at=time.monotonic() - age
    )


def kes(amount: int | str) -> Decimal:
    return Decimal(amount)
