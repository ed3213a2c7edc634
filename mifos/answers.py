"""What Mifos X tells us, and what we tell it, as plain values. Source: contracts/mifos.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum

APPROVED = 200  # loanStatusType.approved, "waiting for disbursal" (contracts/mifos.md 3)
INDIVIDUAL = 1
LONGEST_EXTERNAL_ID = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class MifosConfig:
    """One tenant of one Mifos X. `base_url` reaches to the API's version, times are in seconds."""

    base_url: str
    tenant: str
    username: str
    password: str = field(repr=False)
    time_zone: str = "Africa/Nairobi"
    connect_timeout: float = 5
    read_timeout: float = 60
    allow_private_hosts: bool = False
    concurrency: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Loan:
    """A loan as a row of a list shows it."""

    loan_id: int
    account_number: str
    external_id: str
    status_id: int
    client_id: int | None
    client_name: str
    office_id: int | None
    product_id: int
    product_name: str
    principal: Decimal
    approved_principal: Decimal | None
    net_disbursal_amount: Decimal | None
    currency: str
    submitted_on: date | None
    approved_on: date | None
    expected_disbursement_date: date | None
    actual_disbursement_date: date | None
    loan_type_id: int | None
    is_top_up: bool
    is_multi_disburse: bool
    has_down_payment: bool
    is_charged_off: bool
    is_fraud: bool

    @property
    def waiting_for_disbursal(self) -> bool:
        return self.status_id == APPROVED

    @property
    def is_individual(self) -> bool:
        # By id: the documented code changed from loanType.* to accountType.* (2.3).
        return self.loan_type_id == INDIVIDUAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Disbursal:
    """A disbursement transaction of a loan."""

    transaction_id: int
    amount: Decimal
    date: date | None
    is_reversed: bool
    external_id: str
    receipt_number: str
    account_number: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LoanDetail(Loan):
    """A loan read by itself, with what a list does not show.

    `first_repayment_date` is set only where a person fixed it: Fineract compares the day of
    disbursement with the first repayment for no other loan.
    """

    linked_savings_id: int | None
    tranche_count: int
    disbursals: tuple[Disbursal, ...]
    first_repayment_date: date | None
    has_account_transfer_charge: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """A borrower. `mobile_number` is free text as Mifos X has it, empty when there is none."""

    client_id: int
    display_name: str
    mobile_number: str
    is_active: bool
    office_id: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentType:
    payment_type_id: int
    name: str
    is_cash: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    product_id: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Holiday:
    name: str
    from_date: date
    to_date: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """On which days an office disburses. Monday is 0; `unreadable` names what we may not see."""

    holidays: tuple[Holiday, ...]
    working_weekdays: frozenset[int] | None
    allows_holidays: bool
    allows_non_working_days: bool
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DisburseOrder:
    """What to write on a loan that M-Pesa has paid. `principal` is gross, never the net amount."""

    loan_id: int
    principal: Decimal
    on: date
    payment_type_id: int
    receipt_number: str
    account_number: str
    routing_code: str
    external_id: str
    idempotency_key: str
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 < len(self.external_id) <= LONGEST_EXTERNAL_ID:
            raise ValueError("an external id has 1 to 100 characters and is never cut")
        if not self.idempotency_key:
            raise ValueError("an idempotency key is missing")
        if self.principal <= 0:
            raise ValueError("a disbursement is above zero")


@dataclass(frozen=True, kw_only=True, slots=True)
class Disbursed:
    """Mifos X says it recorded the disbursement. Confirm it by reading the loan."""

    loan_id: int
    status_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AwaitingChecker:
    """Nothing is recorded yet: another person must approve the command in Mifos X."""

    command_id: int


class CommandState(StrEnum):
    """Where a command that waited for a checker stands."""

    AWAITING = "awaiting"
    PROCESSED = "processed"
    REJECTED = "rejected"
    GONE = "gone"  # the checker deleted it, or it never was in this tenant
    OF_ANOTHER_LOAN = "of_another_loan"
    UNREADABLE = "unreadable"


class Unsupported(Enum):
    """Marks a question that this server is too old to answer."""

    UNSUPPORTED = "unsupported"
