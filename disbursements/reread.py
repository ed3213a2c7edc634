"""Rule 3: what Mifos X says of a loan now, and whether it would let us record it later."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from loans.eligibility import Refusal, calendar_refusal
from loans.models import HoldReason
from mifos.client import (
    Calendar,
    Client,
    LoanDetail,
    MifosClient,
    MifosNotFound,
    may_disburse,
)
from partners.models import Partner
from partners.overlap import leave_database


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshLoan:
    """One loan and its client as Mifos X has just told them. `read_at` is monotonic seconds."""

    loan: LoanDetail
    client: Client | None
    read_at: float

    @property
    def age(self) -> float:
        """Return the seconds since the older of both answers was asked for."""
        return time.monotonic() - self.read_at


class LoanGone(Exception):
    """Mifos X says that there is no such loan. (A missing client is another matter.)"""


def read_fresh(mifos: MifosClient, loan_id: int) -> FreshLoan:
    """Read the loan and its client now. Raises LoanGone, or MifosError."""
    leave_database()
    read_at = time.monotonic()
    try:
        loan = mifos.loan(loan_id)
    except MifosNotFound as exc:
        raise LoanGone from exc
    client = mifos.client(loan.client_id) if loan.client_id is not None else None
    return FreshLoan(loan=loan, client=client, read_at=read_at)


@dataclass(kw_only=True)
class Preflight:
    """What Mifos X would refuse that can be seen before paying. Read once a pass for all loans."""

    partner: Partner
    mifos: MifosClient
    today: date
    standing: Refusal | None  # what would refuse every loan of this partner
    _calendars: dict[int, Calendar] = field(default_factory=dict)
    _strict: dict[int, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, partner: Partner, mifos: MifosClient, *, now: datetime) -> Preflight:
        """Ask Mifos X for its business date, our permissions and its payment types."""
        leave_database()
        return cls(
            partner=partner,
            mifos=mifos,
            today=mifos.business_date(now=now),
            standing=_standing_refusal(partner, mifos),
        )

    def refusal(self, fresh: FreshLoan) -> Refusal | None:
        """Return why Mifos X would refuse to record this loan as disbursed today (5.2), or None."""
        return (
            self.standing
            or _client_refusal(fresh)
            or _principal_refusal(fresh.loan, self.today)
            or _date_refusal(fresh.loan, self.today)
            or self._expected_date_refusal(fresh.loan)
            or self._calendar_refusal(fresh.loan)
        )

    def _expected_date_refusal(self, loan: LoanDetail) -> Refusal | None:
        """Some products take a loan on its expected date only (5.2 row 9): asked for late ones."""
        expected = loan.expected_disbursement_date
        if expected in {None, self.today} or not self._is_strict(loan.product_id):
            return None
        return Refusal(
            hold=HoldReason.NOT_DUE,
            message=f"Mifos X takes this product on its expected date only, which was {expected}; "
            "approve the loan anew with a date to come",
        )

    def _is_strict(self, product_id: int) -> bool:
        with self._lock:
            if product_id not in self._strict:
                leave_database()
                asked = self.mifos.disburses_on_expected_date_only(product_id)
                self._strict[product_id] = bool(asked)
            return self._strict[product_id]

    def _calendar_refusal(self, loan: LoanDetail) -> Refusal | None:
        calendar = self._calendar(loan.office_id)
        # Fineract tests the expected date until an actual one is set (5.2 row 12): test both.
        days = {self.today, loan.expected_disbursement_date or self.today}
        refusals = (calendar_refusal(calendar=calendar, on=day) for day in sorted(days))
        return next((refusal for refusal in refusals if refusal), None)

    def _calendar(self, office_id: int | None) -> Calendar:
        office = office_id or 1
        with self._lock:
            if office not in self._calendars:
                leave_database()
                self._calendars[office] = self.mifos.calendar(office_id=office)
            return self._calendars[office]


def _standing_refusal(partner: Partner, mifos: MifosClient) -> Refusal | None:
    if not may_disburse(mifos.permissions()):
        return Refusal(
            hold=HoldReason.NO_DISBURSE_PERMISSION,
            message=f"Mifos X user {partner.mifos_username} lacks the permission DISBURSE_LOAN",
        )
    types = {each.payment_type_id: each for each in mifos.payment_types()}
    chosen = types.get(partner.mifos_payment_type_id or 0)
    if chosen is None:
        return Refusal(
            hold=HoldReason.PAYMENT_TYPE_INVALID,
            message=f"Payment type {partner.mifos_payment_type_id} is not known in Mifos X",
        )
    if chosen.is_cash:
        # Cash types ask for a cashier session (contracts/mifos.md 5.2 row 17).
        return Refusal(
            hold=HoldReason.PAYMENT_TYPE_INVALID,
            message=f"Payment type {chosen.name} is a cash type; choose a non-cash one",
        )
    return None


def _client_refusal(fresh: FreshLoan) -> Refusal | None:
    if fresh.client is None:
        return Refusal(hold=HoldReason.GROUP_LOAN)
    if not fresh.client.is_active:
        return Refusal(hold=HoldReason.CLIENT_NOT_ACTIVE)
    return None


def _principal_refusal(loan: LoanDetail, today: date) -> Refusal | None:
    """Fineract disburses no more than was approved (5.2 rows 5 and 15)."""
    if loan.approved_principal is None or loan.principal <= loan.approved_principal:
        return None
    return Refusal(
        hold=HoldReason.NET_UNKNOWN,
        message=f"The principal is KES {loan.principal}, and only {loan.approved_principal} was "
        "approved; Mifos X would refuse the disbursement",
        retry_on=today + timedelta(days=1),  # no column of ours tells when it is corrected
    )


def _date_refusal(loan: LoanDetail, today: date) -> Refusal | None:
    if loan.approved_on is not None and loan.approved_on > today:
        return Refusal(hold=HoldReason.APPROVED_IN_FUTURE, retry_on=loan.approved_on)
    if loan.first_repayment_date is not None and today > loan.first_repayment_date:
        return Refusal(
            hold=HoldReason.REPAYMENT_DATE_PASSED,
            message=f"The first repayment was expected on {loan.first_repayment_date}; "
            "Mifos X would refuse the disbursement",
        )
    return None
