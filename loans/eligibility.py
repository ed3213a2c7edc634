"""May this loan be paid by itself? Pure: facts in, a reason out. design.md 4 is the source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from loans.models import HoldReason
from loans.phones import KENYAN_MOBILE
from mifos.client import Calendar, Loan, LoanDetail

NAIROBI = ZoneInfo("Africa/Nairobi")
# contracts/mpesa.md 9: KES 10 to 250,000 for one transaction.
MPESA_MINIMUM = Decimal(10)
MPESA_MAXIMUM = Decimal(250_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoanFacts:
    """What we know of one loan. Amounts in KES; `net` is what the borrower would get."""

    product_id: int
    principal: Decimal
    net: Decimal | None
    currency: str
    phone: str
    is_phone_shared: bool
    approved_on: date | None
    expected_on: date | None
    obstacle: str
    approval_cause: str
    approved_causes: frozenset[str]  # the holds that approvals of this amount and phone answered
    is_held_by_staff: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductRule:
    """One product's rule. Amounts in KES, compared with the principal's net payout."""

    enabled: bool
    minimum: Decimal
    maximum: Decimal
    auto_approve: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerRules:
    """What the partner allows. `products` by Mifos X product id; limits in KES, None = none."""

    is_active: bool
    is_configured: bool
    is_auto: bool
    products: dict[int, ProductRule]
    loan_limit: Decimal | None
    approval_threshold: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why the loan waits. `retry_on` is the day that alone may change the answer."""

    hold: HoldReason
    message: str = ""
    retry_on: date | None = None

    @property
    def sentence(self) -> str:
        return self.message or str(self.hold.label)


def obstacle_of(loan: Loan) -> HoldReason | None:
    """Return what in the loan's nature keeps a machine from paying it (contracts/mifos.md 4)."""
    if not loan.is_individual or loan.client_id is None:
        return HoldReason.GROUP_LOAN
    if loan.is_top_up:
        return HoldReason.TOP_UP
    if loan.is_multi_disburse:
        return HoldReason.TRANCHE_LOAN
    if loan.has_down_payment:
        return HoldReason.DOWN_PAYMENT
    if loan.is_charged_off or loan.is_fraud:
        return HoldReason.CHARGED_OFF
    if isinstance(loan, LoanDetail):
        return _obstacle_of_detail(loan)
    return None


def refusal_for(*, facts: LoanFacts, rules: PartnerRules, today: date) -> Refusal | None:
    """Return why the loan may not be paid on `today` (Mifos X's business date), or None."""
    return (
        _partner_refusal(rules)
        or _staff_refusal(facts)
        or _nature_refusal(facts)
        or _amount_refusal(facts)
        or _product_refusal(facts, rules)
        or _phone_refusal(facts)
        or _date_refusal(facts, today)
        or _approval_refusal(facts, rules)
    )


def calendar_refusal(*, calendar: Calendar, on: date) -> Refusal | None:
    """Return why Mifos X would refuse to disburse on this day (contracts/mifos.md 5.2 row 12)."""
    day_after = on + timedelta(days=1)
    if not calendar.allows_holidays:
        for holiday in calendar.holidays:
            if holiday.from_date <= on <= holiday.to_date:
                return Refusal(
                    hold=HoldReason.HOLIDAY,
                    message=f"Mifos X has a holiday on {on}: {holiday.name}",
                    retry_on=holiday.to_date + timedelta(days=1),
                )
    weekdays = calendar.working_weekdays
    if weekdays is None or calendar.allows_non_working_days or on.weekday() in weekdays:
        return None
    return Refusal(hold=HoldReason.NON_WORKING_DAY, retry_on=day_after)


def start_of_day(day: date) -> datetime:
    """Return the first instant of a Nairobi day."""
    return datetime.combine(day, time.min, tzinfo=NAIROBI)


def _obstacle_of_detail(loan: LoanDetail) -> HoldReason | None:
    if loan.linked_savings_id is not None or loan.has_account_transfer_charge:
        return HoldReason.LINKED_SAVINGS
    if loan.tranche_count > 1:
        return HoldReason.TRANCHE_LOAN
    return None


def _partner_refusal(rules: PartnerRules) -> Refusal | None:
    if not rules.is_active:
        return Refusal(hold=HoldReason.PARTNER_INACTIVE)
    if not rules.is_configured:
        return Refusal(hold=HoldReason.NOT_CONFIGURED)
    if not rules.is_auto:
        return Refusal(hold=HoldReason.AUTO_OFF)
    return None


def _staff_refusal(facts: LoanFacts) -> Refusal | None:
    return Refusal(hold=HoldReason.HELD_BY_STAFF) if facts.is_held_by_staff else None


def _nature_refusal(facts: LoanFacts) -> Refusal | None:
    if facts.obstacle:
        return _held_for(facts.obstacle)
    if facts.currency != "KES":
        return Refusal(
            hold=HoldReason.FOREIGN_CURRENCY,
            message=f"The loan is in {facts.currency}; M-Pesa pays KES",
        )
    return None


def _held_for(word: str) -> Refusal:
    """Return the hold of that name; one that this version does not know is a person's."""
    if word in HoldReason.values:
        return Refusal(hold=HoldReason(word))
    return Refusal(
        hold=HoldReason.HELD_BY_STAFF, message=f"This version does not know the hold “{word}”"
    )


def _amount_refusal(facts: LoanFacts) -> Refusal | None:
    net = facts.net
    if net is None:
        return Refusal(hold=HoldReason.NET_UNKNOWN)
    if net != net.to_integral_value():
        return Refusal(hold=HoldReason.CENTS, message=f"KES {net} has cents")
    if not MPESA_MINIMUM <= net <= MPESA_MAXIMUM:
        return Refusal(hold=HoldReason.OUTSIDE_MPESA_LIMITS)
    if net > facts.principal:
        return Refusal(
            hold=HoldReason.NET_UNKNOWN,
            message=f"Mifos X would pay out KES {net}, more than the principal {facts.principal}",
        )
    return None


def _product_refusal(facts: LoanFacts, rules: PartnerRules) -> Refusal | None:
    rule = rules.products.get(facts.product_id)
    if rule is None or not rule.enabled:
        return Refusal(hold=HoldReason.PRODUCT_NOT_ENABLED)
    amount = facts.principal
    if amount < rule.minimum:
        return Refusal(
            hold=HoldReason.BELOW_MINIMUM,
            message=f"KES {amount} is below the product's minimum of {rule.minimum}",
        )
    if amount > rule.maximum:
        return Refusal(
            hold=HoldReason.ABOVE_MAXIMUM,
            message=f"KES {amount} is above the product's maximum of {rule.maximum}",
        )
    if rules.loan_limit is not None and amount > rules.loan_limit:
        return Refusal(
            hold=HoldReason.ABOVE_LOAN_LIMIT,
            message=f"KES {amount} is above the partner's limit of {rules.loan_limit} per loan",
        )
    return None


def _phone_refusal(facts: LoanFacts) -> Refusal | None:
    if not facts.phone:
        return Refusal(hold=HoldReason.PHONE_MISSING)
    if not KENYAN_MOBILE.fullmatch(facts.phone):
        return Refusal(hold=HoldReason.PHONE_INVALID)
    if facts.is_phone_shared and HoldReason.PHONE_SHARED not in facts.approved_causes:
        return Refusal(hold=HoldReason.PHONE_SHARED)
    return None


def _date_refusal(facts: LoanFacts, today: date) -> Refusal | None:
    if facts.approved_on is not None and facts.approved_on > today:
        return Refusal(hold=HoldReason.APPROVED_IN_FUTURE, retry_on=facts.approved_on)
    if facts.expected_on is not None and facts.expected_on > today:
        return Refusal(
            hold=HoldReason.NOT_DUE,
            message=f"The expected disbursement date is {facts.expected_on}",
            retry_on=facts.expected_on,
        )
    return None


def _approval_refusal(facts: LoanFacts, rules: PartnerRules) -> Refusal | None:
    if facts.approval_cause and facts.approval_cause not in facts.approved_causes:
        return _held_for(facts.approval_cause)
    if facts.approved_causes:
        return None
    rule = rules.products[facts.product_id]
    threshold = rules.approval_threshold
    if threshold is not None and facts.principal > threshold:
        return Refusal(
            hold=HoldReason.NEEDS_APPROVAL,
            message=f"KES {facts.principal} is above the approval threshold of {threshold}",
        )
    if not rule.auto_approve:
        return Refusal(
            hold=HoldReason.NEEDS_APPROVAL, message="The product asks for a person's approval"
        )
    return None
