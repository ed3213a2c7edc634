"""Mifos X in this process: loans, clients, idempotency keys, maker-checker, and its own history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from campaigns.statemachine_time import TICK, Clock, Fuse
from mifos.client import (
    AwaitingChecker,
    Calendar,
    Client,
    CommandState,
    Disbursal,
    Disbursed,
    DisburseOrder,
    Loan,
    LoanDetail,
    MifosBusy,
    MifosCredentials,
    MifosError,
    MifosNotFound,
    MifosRefused,
    MifosUncertain,
    MifosUnreachable,
    PaymentType,
)

NAIROBI = ZoneInfo("Africa/Nairobi")
APPROVED, ACTIVE, SUBMITTED, WITHDRAWN = 200, 300, 100, 400
PAYMENT_TYPE = 4
RECORD_OUTCOMES = (
    "ok",
    "lost_after",
    "lost_before",
    "refused",
    "busy",
    "stuck",
    "checker",
    "200_without_effect",
    "credentials",
    "unreachable",
)


@dataclass
class Posting:
    """One disbursement transaction."""

    number: int
    amount: Decimal
    on: date
    external_id: str
    receipt: str
    is_reversed: bool = False


@dataclass
class BookLoan:
    """One loan as Mifos X keeps it."""

    loan_id: int
    client_id: int
    principal: Decimal
    net: Decimal | None
    currency: str = "KES"
    product_id: int = 1
    status: int = APPROVED
    approved_on: date = date(2026, 11, 23)
    expected_on: date | None = None
    nature: dict[str, Any] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    is_gone: bool = False


@dataclass
class BookClient:
    """One borrower; `mobile` is what a clerk typed."""

    client_id: int
    mobile: str
    is_active: bool = True


@dataclass(frozen=True)
class LoanRead:
    """What Mifos X last told of a loan and of its client, and when it was asked (monotonic)."""

    at: float
    status: int
    principal: Decimal
    net: Decimal | None
    currency: str
    product_id: int
    nature: dict[str, Any]
    expected_on: date | None


@dataclass
class Command:
    """A disbursement that waits for a checker."""

    order: DisburseOrder
    state: CommandState = CommandState.AWAITING


@dataclass
class Tenant:
    """The book of one tenant. `on_post` looks at every disbursement before it is booked."""

    clock: Clock
    fuse: Fuse
    loans: dict[int, BookLoan] = field(default_factory=dict)
    clients: dict[int, BookClient] = field(default_factory=dict)
    reads: dict[int, LoanRead] = field(default_factory=dict)
    client_reads: dict[int, tuple[float, str, bool]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)
    keys: dict[str, Disbursed | MifosError] = field(default_factory=dict)
    stuck_keys: set[str] = field(default_factory=set)
    commands: dict[int, Command] = field(default_factory=dict)
    needs_checker: bool = False
    read_delay: float = 0.0
    on_post: Callable[[DisburseOrder], None] = lambda order: None
    _numbers: int = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def today(self) -> date:
        return self.clock.now().astimezone(NAIROBI).date()

    def approve(self, loan: BookLoan) -> None:
        loan.status = APPROVED
        loan.approved_on = self.today()
        self.loans[loan.loan_id] = loan

    def disburse_by_hand(self, loan: BookLoan) -> None:
        """A clerk pays cash and says so in Mifos X."""
        number = self.number()
        loan.status = ACTIVE
        loan.postings.append(Posting(number, loan.principal, self.today(), "", f"CASH{number}"))

    def undo_disbursal(self, loan: BookLoan) -> None:
        for posting in loan.postings:
            posting.is_reversed = True
        loan.status = APPROVED

    def decide(self, number: int, *, approve: bool) -> None:
        """A checker approves or rejects a waiting command."""
        command = self.commands[number]
        if command.state != CommandState.AWAITING:
            return
        command.state = CommandState.REJECTED
        if approve:
            try:
                self.check(command.order)
            except MifosRefused:
                return
            self.book(command.order)
            command.state = CommandState.PROCESSED

    def check(self, order: DisburseOrder) -> BookLoan:
        """The checks of contracts/mifos.md 5.2 that matter here. Raises MifosRefused."""
        loan = self.loans.get(order.loan_id)
        if loan is None or loan.is_gone:
            raise MifosNotFound("there is no such loan", code="error.msg.loan.id.invalid")
        if loan.status != APPROVED:
            raise MifosRefused("not approved and not disbursed", code="state")
        if order.on < loan.approved_on or order.on > self.today():
            raise MifosRefused("the date is not allowed", code="date")
        if order.principal > loan.principal:
            raise MifosRefused("above what was approved", code="amount")
        if order.payment_type_id != PAYMENT_TYPE:
            raise MifosRefused("no such payment type", code="type")
        if any(order.external_id == each.external_id for each in self._all_postings()):
            raise MifosRefused("the external id is taken", code="externalId")
        return loan

    def book(self, order: DisburseOrder) -> Disbursed:
        loan = self.loans[order.loan_id]
        loan.postings.append(
            Posting(
                self.number(), order.principal, order.on, order.external_id, order.receipt_number
            )
        )
        loan.status = ACTIVE
        loan.principal = order.principal  # a smaller amount lowers the principal (5.1)
        return Disbursed(loan_id=order.loan_id, status_id=ACTIVE)

    def _all_postings(self) -> Iterator[Posting]:
        for loan in self.loans.values():
            yield from loan.postings


class TenantClient:
    """Stands where the client of Mifos X is, with the same methods and the same errors."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.unreadable_rows: list[str] = []

    def close(self) -> None:
        """There is nothing to close."""

    def approved_loans(self, *, page_size: int = 200) -> Iterator[list[Loan]]:
        """Yield the waiting loans in pages of two, so that there is more than one."""
        self._call("list")
        waiting = [each for each in self._tenant.loans.values() if each.status == APPROVED]
        for start in range(0, len(waiting), 2):
            yield [row_of(each) for each in waiting[start : start + 2] if not each.is_gone]

    def loan(self, loan_id: int) -> LoanDetail:
        """Read one loan; remembered as what the product knew when it paid."""
        at = self._tenant.clock.monotonic()
        self._call("loan")
        loan = self._tenant.loans.get(loan_id)
        if loan is None or loan.is_gone:
            raise MifosNotFound("there is no such loan", code="error.msg.loan.id.invalid")
        self._tenant.reads[loan_id] = LoanRead(
            at=at,
            status=loan.status,
            principal=loan.principal,
            net=loan.net,
            currency=loan.currency,
            product_id=loan.product_id,
            nature=dict(loan.nature),
            expected_on=loan.expected_on,
        )
        return detail_of(loan)

    def client(self, client_id: int) -> Client:
        """Read one client."""
        at = self._tenant.clock.monotonic()
        self._call("client")
        client = self._tenant.clients[client_id]
        self._tenant.client_reads[client_id] = (at, client.mobile, client.is_active)
        return Client(
            client_id=client_id,
            display_name=f"Client {client_id}",
            mobile_number=client.mobile,
            is_active=client.is_active,
            office_id=1,
        )

    def payment_types(self) -> list[PaymentType]:
        """List the payment types."""
        self._call("payment_types")
        return [PaymentType(payment_type_id=PAYMENT_TYPE, name="M-Pesa", is_cash=False)]

    def permissions(self) -> frozenset[str]:
        """Return what our user may do."""
        self._call("permissions")
        return frozenset({"DISBURSE_LOAN"})

    def business_date(self, *, now: datetime) -> date:
        """Return Mifos X's today."""
        self._call("business_date")
        return now.astimezone(NAIROBI).date()

    def calendar(self, *, office_id: int) -> Calendar:
        """Every day is a working day here."""
        self._call("calendar")
        return Calendar(
            holidays=(),
            working_weekdays=None,
            allows_holidays=True,
            allows_non_working_days=True,
        )

    def disburse(self, order: DisburseOrder) -> Disbursed | AwaitingChecker:
        """Record a payment, or fail in one of the ways of contracts/mifos.md 5, 6 and 10."""
        tenant = self._tenant
        self._call("disburse")
        outcome = tenant.outcomes.pop(0) if tenant.outcomes else "ok"
        if outcome == "unreachable":
            raise MifosUnreachable("Mifos X could not be reached")
        if outcome == "credentials":
            raise MifosCredentials("user and password are not accepted")
        tenant.on_post(order)
        if order.idempotency_key in tenant.stuck_keys:
            raise MifosBusy("the same request is still under way", http_status=425)
        if order.idempotency_key in tenant.keys:
            return replayed(tenant.keys[order.idempotency_key])
        return self._first_time(order, outcome)

    def command_state(self, command_id: int, *, loan_id: int) -> CommandState:
        """Return where a command that waits for a checker stands."""
        self._call("command_state")
        return self._tenant.commands[command_id].state

    def _first_time(self, order: DisburseOrder, outcome: str) -> Disbursed | AwaitingChecker:
        tenant, key = self._tenant, order.idempotency_key
        match outcome:
            case "busy":
                raise MifosBusy("the loan is locked", http_status=409)
            case "stuck":
                tenant.stuck_keys.add(key)
                raise MifosBusy("the same request is still under way", http_status=425)
            case "lost_before":
                raise MifosUncertain("no answer")
            case "200_without_effect":
                return Disbursed(loan_id=order.loan_id, status_id=ACTIVE)
        return self._decided(order, outcome)

    def _decided(self, order: DisburseOrder, outcome: str) -> Disbursed | AwaitingChecker:
        tenant, key = self._tenant, order.idempotency_key
        try:
            if outcome == "refused":
                raise MifosRefused("the accounts are closed for that date", code="closed")
            tenant.check(order)
        except MifosRefused as exc:
            tenant.keys[key] = exc
            raise
        if outcome == "checker" or tenant.needs_checker:
            number = tenant.number()
            tenant.commands[number] = Command(order)
            tenant.stuck_keys.add(key)  # a repost hits the unique constraint (6)
            return AwaitingChecker(command_id=number)
        tenant.keys[key] = tenant.book(order)
        tenant.fuse.pass_by("after the effect of a disbursement")
        if outcome == "lost_after":
            raise MifosUncertain("no answer")
        return Disbursed(loan_id=order.loan_id, status_id=ACTIVE)

    def _call(self, name: str) -> None:
        self._tenant.fuse.pass_by(f"before Mifos X {name}")
        self._tenant.clock.advance(TICK + self._tenant.read_delay)
        waiting = self._tenant.faults.get(name) or self._tenant.faults.get("all")
        if waiting:
            raise fault_named(waiting.pop(0))
        self._tenant.fuse.pass_by(f"after Mifos X {name}")


def fault_named(name: str) -> MifosError:
    if name == "credentials":
        return MifosCredentials("user and password are not accepted")
    return MifosUnreachable("Mifos X did not answer")


def replayed(stored: Disbursed | MifosError) -> Disbursed:
    """Repeat a stored outcome: the loan and the body are not part of the key (6)."""
    if isinstance(stored, MifosRefused):
        raise MifosRefused(str(stored), code=stored.code, replayed=True)
    if isinstance(stored, MifosError):
        raise stored
    return stored


def row_of(loan: BookLoan) -> Loan:
    """Return the loan as a list shows it."""
    return Loan(**facts_of(loan))


def detail_of(loan: BookLoan) -> LoanDetail:
    """Return the loan as a read of itself shows it."""
    return LoanDetail(
        **facts_of(loan),
        linked_savings_id=loan.nature.get("linked_savings_id"),
        tranche_count=0,
        disbursals=tuple(disbursal_of(each) for each in loan.postings),
        first_repayment_date=None,
        has_account_transfer_charge=False,
    )


def disbursal_of(posting: Posting) -> Disbursal:
    return Disbursal(
        transaction_id=posting.number,
        amount=posting.amount,
        date=posting.on,
        is_reversed=posting.is_reversed,
        external_id=posting.external_id,
        receipt_number=posting.receipt,
        account_number="",
    )


def facts_of(loan: BookLoan) -> dict[str, Any]:
    nature = loan.nature
    return {
        "loan_id": loan.loan_id,
        "account_number": f"{loan.loan_id:09d}",
        "external_id": "",
        "status_id": loan.status,
        "client_id": None if nature.get("is_group") else loan.client_id,
        "client_name": f"Client {loan.client_id}",
        "office_id": 1,
        "product_id": loan.product_id,
        "product_name": "Biashara",
        "principal": loan.principal,
        "approved_principal": loan.principal,
        "net_disbursal_amount": loan.net,
        "currency": loan.currency,
        "submitted_on": loan.approved_on,
        "approved_on": loan.approved_on,
        "expected_disbursement_date": loan.expected_on,
        "actual_disbursement_date": None,
        "loan_type_id": 2 if nature.get("is_group") else 1,
        "is_top_up": bool(nature.get("is_top_up")),
        "is_multi_disburse": bool(nature.get("is_multi_disburse")),
        "has_down_payment": bool(nature.get("has_down_payment")),
        "is_charged_off": bool(nature.get("is_charged_off")),
        "is_fraud": False,
    }
