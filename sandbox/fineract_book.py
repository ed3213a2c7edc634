"""What a Mifos X keeps: tenants, users, clients, loans, transactions, commands."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.calls import Json

ERAS = ("1.8", "1.10", "2026")
ALL_DAYS = "MO,TU,WE,TH,FR,SA,SU"
SERVICE_PERMISSIONS = ("READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE", "DISBURSE_LOAN")


@dataclass(slots=True)
class Client:
    id: int
    name: str
    mobile_no: str | None = None
    active: bool = True
    external_id: str | None = None
    office_id: int = 2
    transferred_on: date | None = None
    deleted: bool = False


@dataclass(slots=True)
class Transaction:
    id: int
    loan_id: int
    type_id: int  # 1 disbursement, 5 repayment at disbursement
    amount: Decimal
    on: date
    by: str
    at: float
    external_id: str | None = None
    payment: Json | None = None
    net: Decimal | None = None
    reversed: bool = False


@dataclass(slots=True)
class Loan:
    """One loan account; the defaults are those of an approved individual loan in KES."""

    id: int
    product_id: int
    principal: Decimal
    approved_principal: Decimal
    client_id: int | None = None
    group_id: int | None = None
    group_office_id: int | None = None
    proposed_principal: Decimal = Decimal(0)
    status: int = 200
    external_id: str | None = None
    loan_type: int = 1  # 1 individual, 2 group, 3 jlg, 4 glim, 5 gsim
    currency: str = "KES"
    charges: Decimal = Decimal(0)  # due at disbursement
    charge_mode: int = 0  # 1 = account transfer
    submitted_on: date | None = None
    approved_on: date | None = None
    expected_disbursement: date | None = None
    expected_first_repayment: date | None = None
    actual_disbursement: date | None = None
    is_topup: bool = False
    closure_loan_id: int = 0
    topup_outstanding: Decimal | None = None
    multi_disburse: bool = False
    tranches: list[Json] = field(default_factory=list)
    down_payment: bool = False
    linked_savings: int | None = None
    fraud: bool = False
    charged_off: bool = False
    locked_by_cob: bool = False
    hide_net: bool = False  # an old server that does not send netDisbursalAmount
    status_after: int = 300
    disbursed_by: str | None = None
    transactions: list[Transaction] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    row: bytes = b""  # the list row, kept until the loan changes

    @property
    def net(self) -> Decimal:
        return self.principal - self.charges

    def changed(self, what: str, by: str, at: float) -> None:
        """Forget the kept row and remember what happened, for the oracles."""
        self.row = b""
        self.history.append(
            {"at": at, "what": what, "by": by, "status": self.status, "net": str(self.net)}
        )


@dataclass(slots=True)
class User:
    id: int
    name: str
    password: str
    permissions: frozenset[str]

    def may(self, task: str) -> bool:
        return "ALL_FUNCTIONS" in self.permissions or task in self.permissions


@dataclass(slots=True)
class Command:
    """A command that waits for a checker, or was decided."""

    id: int
    action: str
    loan_id: int
    body: Json
    maker: str
    at: float
    result: str = "awaiting.approval"  # processed, rejected
    checker: str | None = None
    checked_at: float | None = None
    slot: tuple[str, str, str] | None = None


@dataclass(slots=True)
class Tenant:
    """One lender's database, with the settings that change what Fineract allows."""

    name: str
    era: str = "1.10"
    office: str = "Nairobi"
    timezone: str = "Africa/Nairobi"
    business_date: date | None = None
    business_date_enabled: bool = False
    iso_dates: bool = False
    maker_checker: bool = False
    maker_checker_resource_id: bool = True
    allow_on_holiday: bool = False
    allow_on_non_working_day: bool = False
    working_days: str = ALL_DAYS
    holidays: list[Json] = field(default_factory=list)
    accounting_closed_until: date | None = None
    sync_expected_date: bool = False
    in_maintenance: bool = False
    users: dict[str, User] = field(default_factory=dict)
    products: dict[int, str] = field(default_factory=dict)
    payment_types: dict[int, Json] = field(default_factory=dict)
    clients: dict[int, Client] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    loans: dict[int, Loan] = field(default_factory=dict)
    commands: dict[int, Command] = field(default_factory=dict)
    keys: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    hooks: dict[int, Json] = field(default_factory=dict)
    external_ids: dict[str, Transaction] = field(default_factory=dict)
    next_id: int = 9000

    @property
    def has_idempotency(self) -> bool:
        return self.era != "1.8"  # contracts/mifos.md 0

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def today(self) -> date:
        """Return the business date: the tenant-zone date unless set (contracts/mifos.md 9)."""
        if self.business_date_enabled and self.business_date is not None:
            return self.business_date
        return datetime.now(ZoneInfo(self.timezone)).date()

    def day(self, value: Any) -> date | None:
        """Read a date of the control API: ISO text, or days counted from the business date."""
        if value is None:
            return None
        if isinstance(value, int):
            return self.today() + timedelta(days=value)
        return date.fromisoformat(str(value))


DECIMAL_FIELDS = {
    "principal",
    "approved_principal",
    "proposed_principal",
    "charges",
    "topup_outstanding",
}
DATE_FIELDS = {
    "submitted_on",
    "approved_on",
    "expected_disbursement",
    "expected_first_repayment",
    "actual_disbursement",
}
LOAN_FIELDS = {item.name for item in fields(Loan)} - {"transactions", "history", "row"}


def loan_value(tenant: Tenant, name: str, value: Any) -> Any:
    """Turn one attribute of the control API into what a loan keeps. Raises KeyError."""
    if name not in LOAN_FIELDS:
        raise KeyError(f"a loan has no {name}")
    if name in DECIMAL_FIELDS:
        return None if value is None else Decimal(str(value))
    if name in DATE_FIELDS:
        return tenant.day(value)
    return value


def add_loan(tenant: Tenant, attributes: Json, at: float) -> Loan:
    """Create a loan from plain attributes; what is left out gets a payable loan's value."""
    given = dict(attributes)
    given.setdefault("id", tenant.new_id())
    given.setdefault("principal", 20_000)
    given.setdefault("approved_principal", given["principal"])
    given.setdefault("proposed_principal", given["approved_principal"])
    given.setdefault("submitted_on", -2)
    given.setdefault("expected_disbursement", 0)
    if int(given.get("status", 200)) != 100:
        given.setdefault("approved_on", -1)
    given.setdefault("product_id", next(iter(tenant.products), 5))
    loan = Loan(**{name: loan_value(tenant, name, value) for name, value in given.items()})
    loan.changed("created", "control", at)
    tenant.loans[loan.id] = loan
    return loan
