"""Safaricom's callbacks, read: tolerant in what we do not use, strict in what we do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from mpesa.strict_json import read_json

LONGEST_BODY = 64 * 1024
LONGEST_TEXT = 300
NAIROBI = ZoneInfo("Africa/Nairobi")
UTILITY_ACCOUNT = "Utility Account"
# Name|CCY|n1|n2|…: the portal marks index 3 as available (contracts/mpesa.md 8).
AVAILABLE_FIELD = 3

CODE = re.compile(r"[A-Za-z0-9_.-]{1,20}")
IDENTIFIER = re.compile(r"[\x21-\x7e]{1,100}")
RECEIPT = re.compile(r"[A-Za-z0-9]{1,20}")
SHILLINGS = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,4})?")
PHONE = re.compile(r"\+?(?:254|0)?([17][0-9]{8})(?![0-9])")
LONG_NUMBER = re.compile(r"\+?[0-9]{9,}")
DATE_FORMATS = (
    (re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}"), "%d.%m.%Y %H:%M:%S"),
    (re.compile(r"[0-9]{14}"), "%Y%m%d%H%M%S"),
)


class UnreadableCallback(ValueError):
    """The body does not say clearly what it must say. It proves nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentResult:
    """What M-Pesa says of one B2C payment. `receipt` is empty unless the code is success."""

    code: str
    description: str
    originator_conversation_id: str
    conversation_id: str
    transaction_id: str
    receipt: str
    amount: Decimal | None
    receiver: str
    completed_at: datetime | None
    utility_balance: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusResult:
    """What a status query found. `code` is the query's own; the payment's fate is the status.

    `conversation_id` is the query's; `originator_conversation_id` is the payment's. `parties` are
    both sides as M-Pesa names them: the portal's sample calls each of them DebitPartyName.
    """

    code: str
    description: str
    conversation_id: str
    transaction_status: str
    receipt: str
    amount: Decimal | None
    parties: tuple[str, ...]
    originator_conversation_id: str
    completed_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BalanceResult:
    """What is in the utility account, the one B2C draws from. None = not said."""

    code: str
    description: str
    conversation_id: str
    utility_balance: Decimal | None


def is_success(code: object) -> bool:
    """Only 0 and "0" are success: not "00", 0.0 or false (reliability.md C11)."""
    return code == "0" if isinstance(code, str) else type(code) is int and code == 0


def same_phone(msisdn: str, text: str) -> bool:
    """Does `text` begin with our phone number, local or not? (contracts/mpesa.md 5.1)"""
    ours, named = PHONE.fullmatch(msisdn), PHONE.match(text.strip())
    return bool(ours and named and ours[1] == named[1])


def read_payment_result(body: str) -> PaymentResult:
    """Read a B2C result. Raises UnreadableCallback."""
    result, parameters = _open(body)
    code = _code_of(result)
    return PaymentResult(
        code=code,
        description=_description_of(result),
        originator_conversation_id=_identifier(result, "OriginatorConversationID"),
        conversation_id=_identifier(result, "ConversationID"),
        transaction_id=_clean(result.get("TransactionID"))[:LONGEST_TEXT],
        receipt=_receipt(parameters, "TransactionReceipt") if is_success(code) else "",
        amount=_amount(parameters, "TransactionAmount"),
        receiver=parameters.one("ReceiverPartyPublicName"),
        completed_at=_moment(parameters, "TransactionCompletedDateTime"),
        utility_balance=_shillings(parameters.last("B2CUtilityAccountAvailableFunds")),
    )


def read_status_result(body: str) -> StatusResult:
    """Read the result of a status query. Raises UnreadableCallback."""
    result, parameters = _open(body)
    return StatusResult(
        code=_code_of(result),
        description=_description_of(result),
        conversation_id=_identifier(result, "ConversationID"),
        transaction_status=parameters.one("TransactionStatus"),
        receipt=_receipt(parameters, "ReceiptNo"),
        amount=_amount(parameters, "Amount"),
        parties=(*parameters.all("DebitPartyName"), *parameters.all("CreditPartyName")),
        originator_conversation_id=parameters.one("OriginatorConversationID"),
        completed_at=_moment(parameters, "FinalisedTime"),
    )


def read_balance_result(body: str) -> BalanceResult:
    """Read the result of a balance query. Raises UnreadableCallback."""
    result, parameters = _open(body)
    return BalanceResult(
        code=_code_of(result),
        description=_description_of(result),
        conversation_id=_identifier(result, "ConversationID"),
        utility_balance=_utility_balance(parameters.last("AccountBalance")),
    )


class _Parameters:
    """The result parameters, found by key: their order is not fixed and any may be missing."""

    def __init__(self, result: dict[str, object]) -> None:
        self._pairs = list(_pairs_of(result.get("ResultParameters")))

    def all(self, key: str) -> tuple[str, ...]:
        return tuple(value for name, value in self._pairs if name == key and value)

    def last(self, key: str) -> str:
        return next(reversed(self.all(key)), "")

    def one(self, key: str) -> str:
        """Return the value of a key that must not contradict itself."""
        values = set(self.all(key))
        if len(values) > 1:
            raise UnreadableCallback(f"{key} is given twice, and differs")
        return next(iter(values), "")


def _open(body: str) -> tuple[dict[str, object], _Parameters]:
    if len(body) > LONGEST_BODY or len(body.encode(errors="replace")) > LONGEST_BODY:
        raise UnreadableCallback("the body is longer than 64 KiB")
    try:
        document = read_json(body)
    except ValueError as exc:
        raise UnreadableCallback("the body is not plain JSON") from exc
    match document:
        case {"Result": dict(result)}:
            return result, _Parameters(result)
    raise UnreadableCallback("the body has no Result")


def _pairs_of(container: object) -> Iterator[tuple[str, str]]:
    listed = container.get("ResultParameter") if isinstance(container, dict) else None
    # One parameter may come bare, without the array (contracts/mpesa.md 5.1).
    for item in listed if isinstance(listed, list) else [listed]:
        match item:
            case {"Key": str(key), "Value": value}:
                # Old samples write "Conversation ID" (contracts/mpesa.md 7).
                yield "".join(key.split()), _clean(value)


def _code_of(result: dict[str, object]) -> str:
    code = _clean(result.get("ResultCode"))
    if not CODE.fullmatch(code):
        raise UnreadableCallback("there is no readable ResultCode")
    return code


def _description_of(result: dict[str, object]) -> str:
    """Return M-Pesa's words without phone numbers: they go into events, logs and messages."""
    return LONG_NUMBER.sub("***", _clean(result.get("ResultDesc")))[:LONGEST_TEXT]


def _identifier(result: dict[str, object], key: str) -> str:
    text = _clean(result.get(key))
    if text and not IDENTIFIER.fullmatch(text):
        raise UnreadableCallback(f"{key} is not an id")
    return text


def _receipt(parameters: _Parameters, key: str) -> str:
    receipt = parameters.one(key)
    if receipt and not RECEIPT.fullmatch(receipt):
        raise UnreadableCallback(f"{key} is not a receipt number")
    return receipt


def _amount(parameters: _Parameters, key: str) -> Decimal | None:
    values = {_shillings(text) for text in parameters.all(key)}
    if len(values) > 1 or (values and None in values):
        raise UnreadableCallback(f"{key} is not one amount")
    return next(iter(values), None)


def _shillings(text: str) -> Decimal | None:
    return Decimal(text) if SHILLINGS.fullmatch(text) else None


def _moment(parameters: _Parameters, key: str) -> datetime | None:
    """Return the instant in UTC, or None: the times are Kenyan and carry no zone."""
    text = parameters.last(key)
    for shape, date_format in DATE_FORMATS:
        if shape.fullmatch(text):
            try:
                local = datetime.strptime(text, date_format).replace(tzinfo=NAIROBI)
                return local.astimezone(UTC)
            except (ValueError, OverflowError):
                return None
    return None


def _utility_balance(accounts: str) -> Decimal | None:
    """Return what the utility account has available: found by its name, never by position."""
    found: set[Decimal | None] = set()
    for account in accounts.split("&"):
        name, *fields = (part.strip() for part in account.split("|"))
        if name == UTILITY_ACCOUNT and len(fields) >= AVAILABLE_FIELD and fields[0] == "KES":
            found.add(_shillings(fields[AVAILABLE_FIELD - 1]))
    return next(iter(found)) if len(found) == 1 else None


def _clean(value: object) -> str:
    """Return text or a number as one line that any database can keep; anything else is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value).strip())
