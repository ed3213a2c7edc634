"""What a pass tells its caller: plain facts; API, commands and pages put them in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from loans.fetch import PartnerFetch


class LoanOutcome(StrEnum):
    """What happened to one loan in this pass."""

    PAID = "paid"  # M-Pesa confirmed the payment
    PROCESSING = "processing"  # asked for, no verdict yet
    FAILED = "failed"  # proven: no money moved
    HELD = "held"  # not sent; `reason` says why it waits
    UNKNOWN = "unknown"  # no clear answer; being asked about
    WOULD_PAY = "would_pay"  # dry run only


@dataclass(frozen=True, kw_only=True, slots=True)
class LoanReport:
    """One loan of a pass. `reason` is a sentence for staff, or empty."""

    partner: str  # slug
    tracking_id: int
    loan_id: int
    client_name: str
    phone_number: str
    amount: Decimal | None
    outcome: LoanOutcome
    reason: str = ""
    disbursement_id: int | None = None
    conversation_id: str = ""
    receipt: str = ""
    result_code: str = ""


@dataclass(kw_only=True, slots=True)
class PartnerProcess:
    """What was done for one partner. `error` is set when the partner could not be served."""

    partner: str  # name
    slug: str
    error: str = ""
    waiting_because: str = (
        ""  # the gate that keeps the whole partner waiting (paused, breaker, float)
    )
    paid: int = 0  # attempts that became `paid` in this pass
    recorded: int = 0  # attempts verified as recorded in Mifos X in this pass
    asked: int = 0  # status queries sent
    seconds: float = 0.0
    has_more: bool = False  # the time budget ended before the work did
    waiting: dict[str, int] = field(default_factory=dict)  # pending loans by why they wait
    in_review: int = 0  # loans of this partner that need a person
    loans: list[LoanReport] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class FetchReport:
    results: list[PartnerFetch] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return not any(result.error for result in self.results)

    @property
    def has_more(self) -> bool:
        return any(result.has_more for result in self.results)

    @property
    def new_loans(self) -> int:
        return sum(result.new_loans for result in self.results)


@dataclass(kw_only=True, slots=True)
class ProcessReport:
    results: list[PartnerProcess] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return not any(result.error for result in self.results)

    @property
    def has_more(self) -> bool:
        return any(result.has_more for result in self.results)

    @property
    def loans(self) -> list[LoanReport]:
        return [loan for result in self.results for loan in result.loans]

    @property
    def paid(self) -> int:
        return sum(result.paid for result in self.results)


@dataclass(kw_only=True, slots=True)
class SyncReport:
    run_id: int | None
    started_at: datetime
    finished_at: datetime
    fetch: FetchReport
    process: ProcessReport

    @property
    def success(self) -> bool:
        return self.fetch.success and self.process.success

    @property
    def has_more(self) -> bool:
        return self.fetch.has_more or self.process.has_more
