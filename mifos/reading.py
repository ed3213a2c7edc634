"""Reading Fineract's JSON: dates as arrays, numbers as text, nulls left out, odd rows refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from mifos.answers import (
    Client,
    CommandState,
    Disbursal,
    Holiday,
    Loan,
    LoanDetail,
    PaymentType,
    Product,
)

Row = Mapping[str, Any]

LARGEST_ID = 2**63 - 1
LARGEST_AMOUNT = Decimal(10) ** 12
NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,2})?")
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

DISBURSEMENT = 1  # transaction type
CHARGED_AT_DISBURSEMENT = frozenset({1, 12})  # charge time types, 12 is for a tranche
BY_ACCOUNT_TRANSFER = 1
CLIENT_ACTIVE = 300
HOLIDAY_ACTIVE = 300


class Unreadable(ValueError):
    """An answer that is not what the contract says. The text names the field only."""


def row_of(value: object, name: str) -> Row:
    """Return an object of the JSON; absent and null are an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is not an object")
    return value


def rows_of(value: object, name: str) -> list[Row]:
    """Return an array of objects; absent and null are an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is not a list")
    return [row_of(each, name) for each in value]


def number_or_none(row: Row, name: str) -> Decimal | None:
    """Return a number, also when it was written as text. Its size is bounded."""
    value = row.get(name)
    if value is None or value == {}:
        return None
    text = str(value).strip()
    if isinstance(value, bool | float) or not NUMBER.fullmatch(text):
        raise Unreadable(f"{name} is not a number")
    number = Decimal(text)
    if abs(number) > LARGEST_ID:
        raise Unreadable(f"{name} is beyond all measure")
    return number


def id_or_none(row: Row, name: str) -> int | None:
    """Return an id, or None: a zero means "none" too (closureLoanId, contracts/mifos.md 2.3)."""
    number = number_or_none(row, name)
    if number is None or number == 0:
        return None
    if number < 0 or number != number.to_integral_value():
        raise Unreadable(f"{name} is not an id")
    return int(number)


def id_of(row: Row, name: str = "id") -> int:
    number = id_or_none(row, name)
    if number is None:
        raise Unreadable(f"{name} is missing")
    return number


def amount_or_none(row: Row, name: str) -> Decimal | None:
    amount = number_or_none(row, name)
    if amount is not None and not 0 <= amount < LARGEST_AMOUNT:
        raise Unreadable(f"{name} is not an amount")
    return amount


def amount_of(row: Row, name: str) -> Decimal:
    amount = amount_or_none(row, name)
    if not amount:
        raise Unreadable(f"{name} is missing or zero")
    return amount


def date_or_none(row: Row, name: str) -> date | None:
    """Return a date written as [y, m, d], as ISO text, or as the {} of an empty one (9)."""
    value = row.get(name)
    try:
        match value:
            case None | {} if not value:
                return None
            case [int(year), int(month), int(day), *_]:
                return date(year, month, day)
            case str(text) if ISO_DATE.match(text):
                return date.fromisoformat(text[:10])
    except ValueError:
        pass
    raise Unreadable(f"{name} is not a date")


def date_of(row: Row, name: str) -> date:
    day = date_or_none(row, name)
    if day is None:
        raise Unreadable(f"{name} is missing")
    return day


def flag_of(row: Row, name: str) -> bool:
    """Return a warning flag; anything that does not clearly say no means yes."""
    value = row.get(name)
    return (
        value is not None and value != {} and str(value).strip().lower() not in {"false", "0", ""}
    )


def text_of(row: Row, name: str, *, most: int) -> str:
    """Return text that a database takes: no control characters, at most `most` long."""
    value = row.get(name)
    if value is None or isinstance(value, dict | list):
        return ""
    return CONTROL_CHARACTERS.sub("", str(value)).strip()[:most]


def status_id_of(row: Row) -> int:
    """Return the id of the status. Text and flags derive from it and are not read (3)."""
    number = number_or_none(row_of(row.get("status"), "status"), "id")
    if number is None or number != number.to_integral_value():
        raise Unreadable("status is missing")
    return int(number)


def loan_from(row: Row) -> Loan:
    return Loan(**_loan_fields(row))


def loan_detail_from(row: Row) -> LoanDetail:
    charges = rows_of(row.get("charges"), "charges")
    transactions = rows_of(row.get("transactions"), "transactions")
    return LoanDetail(
        **_loan_fields(row),
        linked_savings_id=id_or_none(row_of(row.get("linkedAccount"), "linkedAccount"), "id"),
        tranche_count=len(rows_of(row.get("disbursementDetails"), "disbursementDetails")),
        disbursals=tuple(disbursal_from(each) for each in transactions if is_disbursal(each)),
        # Fineract tests the first repayment only where this was set by hand (5.2 row 18), so the
        # heavy repayment schedule is not asked for.
        first_repayment_date=date_or_none(row, "expectedFirstRepaymentOnDate"),
        has_account_transfer_charge=any(_is_account_transfer(each) for each in charges),
    )


def _loan_fields(row: Row) -> dict[str, Any]:
    timeline = row_of(row.get("timeline"), "timeline")
    return {
        "loan_id": id_of(row),
        "status_id": status_id_of(row),
        **_names_of_loan(row),
        **_amounts_of_loan(row),
        "submitted_on": date_or_none(timeline, "submittedOnDate"),
        "approved_on": date_or_none(timeline, "approvedOnDate"),
        "expected_disbursement_date": date_or_none(timeline, "expectedDisbursementDate"),
        "actual_disbursement_date": date_or_none(timeline, "actualDisbursementDate"),
        "loan_type_id": id_or_none(row_of(row.get("loanType"), "loanType"), "id"),
        "is_top_up": flag_of(row, "isTopup") or id_or_none(row, "closureLoanId") is not None,
        "is_multi_disburse": flag_of(row, "multiDisburseLoan"),
        "has_down_payment": flag_of(row, "enableDownPayment"),
        "is_charged_off": flag_of(row, "chargedOff"),
        "is_fraud": flag_of(row, "fraud"),
    }


def _names_of_loan(row: Row) -> dict[str, Any]:
    group = row_of(row.get("group"), "group")
    return {
        "account_number": text_of(row, "accountNo", most=50),
        "external_id": text_of(row, "externalId", most=100),
        "client_id": id_or_none(row, "clientId"),
        "client_name": text_of(row, "clientName", most=200),
        "office_id": id_or_none(row, "clientOfficeId") or id_or_none(group, "officeId"),
        "product_id": id_of(row, "loanProductId"),
        "product_name": text_of(row, "loanProductName", most=200),
    }


def _amounts_of_loan(row: Row) -> dict[str, Any]:
    currency = text_of(row_of(row.get("currency"), "currency"), "code", most=100)
    if len(currency) != 3:
        raise Unreadable("currency is missing")  # never cut: KESX is not KES
    return {
        "principal": amount_of(row, "principal"),
        "approved_principal": amount_or_none(row, "approvedPrincipal"),
        "net_disbursal_amount": amount_or_none(row, "netDisbursalAmount"),
        "currency": currency,
    }


def is_disbursal(row: Row) -> bool:
    return id_or_none(row_of(row.get("type"), "type"), "id") == DISBURSEMENT


def disbursal_from(row: Row) -> Disbursal:
    payment = row_of(row.get("paymentDetailData"), "paymentDetailData")
    return Disbursal(
        transaction_id=id_of(row),
        amount=amount_or_none(row, "amount") or Decimal(0),
        date=date_or_none(row, "date"),
        is_reversed=flag_of(row, "manuallyReversed"),
        external_id=text_of(row, "externalId", most=100),
        receipt_number=text_of(payment, "receiptNumber", most=50),
        account_number=text_of(payment, "accountNumber", most=50),
    )


def _is_account_transfer(charge: Row) -> bool:
    time_type = id_or_none(row_of(charge.get("chargeTimeType"), "chargeTimeType"), "id")
    mode = id_or_none(row_of(charge.get("chargePaymentMode"), "chargePaymentMode"), "id")
    return time_type in CHARGED_AT_DISBURSEMENT and mode == BY_ACCOUNT_TRANSFER


def client_from(row: Row) -> Client:
    status_id = id_or_none(row_of(row.get("status"), "status"), "id")
    return Client(
        client_id=id_of(row),
        display_name=text_of(row, "displayName", most=200),
        mobile_number=text_of(row, "mobileNo", most=50),
        is_active=row.get("active") is True and status_id in {None, CLIENT_ACTIVE},
        office_id=id_or_none(row, "officeId"),
    )


def payment_type_from(row: Row) -> PaymentType:
    return PaymentType(
        payment_type_id=id_of(row),
        name=text_of(row, "name", most=200),
        is_cash=flag_of(row, "isCashPayment"),
    )


def product_from(row: Row) -> Product:
    return Product(product_id=id_of(row), name=text_of(row, "name", most=200))


def active_holidays(value: object) -> tuple[Holiday, ...]:
    """Return the holidays in force; pending and deleted ones do not count."""
    return tuple(
        Holiday(
            name=text_of(row, "name", most=100),
            from_date=date_of(row, "fromDate"),
            to_date=date_of(row, "toDate"),
        )
        for row in rows_of(value, "holidays")
        if id_or_none(row_of(row.get("status"), "status"), "id") in {None, HOLIDAY_ACTIVE}
    )


def weekdays_of(row: Row) -> frozenset[int]:
    """Return the weekdays of a rule like FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU (Monday is 0)."""
    for part in text_of(row, "recurrence", most=200).upper().split(";"):
        if part.startswith("BYDAY="):
            days = part.removeprefix("BYDAY=").split(",")
            if set(days) <= set(WEEKDAYS):
                return frozenset(WEEKDAYS.index(day) for day in days)
    raise Unreadable("recurrence names no weekdays")


def settings_of(row: Row) -> dict[str, bool]:
    """Return the global configurations by name: are they on?"""
    rows = rows_of(row.get("globalConfiguration"), "globalConfiguration")
    return {text_of(each, "name", most=200): each.get("enabled") is True for each in rows}


def command_state_of(row: Row, *, loan_id: int) -> CommandState:
    """Return where a command stands. The word comes bare or behind its enum's name."""
    if id_or_none(row, "loanId") not in {None, loan_id}:
        return CommandState.OF_ANOTHER_LOAN
    word = text_of(row, "processingResult", most=100).lower()
    word = word.removeprefix("commandprocessingresulttype.")
    return {
        "awaiting.approval": CommandState.AWAITING,
        "underprocessing": CommandState.AWAITING,
        "processed": CommandState.PROCESSED,
        "rejected": CommandState.REJECTED,
        # The checker approved and Fineract rolled it back; it can not be approved again.
        "error": CommandState.REJECTED,
    }.get(word, CommandState.UNREADABLE)
