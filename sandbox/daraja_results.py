"""The bodies Daraja posts back, with every quirk of contracts/mpesa.md 5.1 and 7."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

from sandbox.calls import Json
from sandbox.ledger import Payment, Shortcode, Wallet
from sandbox.numbers import date_letters

SUCCESS = "The service request is processed successfully."
DESCRIPTIONS = {
    "0": SUCCESS,
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "15": "Duplicate Detected",
    "17": "System internal error.",
    "21": "The initiator is not allowed to initiate this request.",
    "26": "System busy. Traffic blocking condition in place.",
    "2001": "The initiator information is invalid.",
    "2006": "Declined due to account rule: the account status does not allow this transaction.",
    "2028": "The request is not permitted according to product assignment.",
    "2033": "The receipt cannot be found by the specified OriginatorConversationID.",
    "2040": (
        "Credit Party customer type (Unregistered or Registered Customer) can't be supported "
        "by the service."
    ),
    "8006": "The security credential is locked",
    "SFC_IC0003": "The operator does not exist.",
    "100000000": "Request was cached, waiting for resending.",
}
# Refused before a transaction exists: a status query then says 2033 (contracts/mpesa.md 6).
BEFORE_TRANSACTION = frozenset({"15", "18", "20", "21", "2001", "2028", "8006", "SFC_IC0003"})
INTERNAL_URL = "http://internalapi.safaricom.co.ke/mpesa/{}/v1/submit"


class Quirks:
    """Decides which of the real shapes the next body takes; the same order for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.on = True

    def one_in(self, number: int) -> bool:
        return self.on and self._random.randrange(number) == 0

    def shuffle(self, rows: list[Json]) -> list[Json]:
        if self.on:
            self._random.shuffle(rows)
        return rows


def result_code(code: str, quirks: Quirks) -> int | str:
    """Return an int, sometimes a string: both are on the wire (contracts/mpesa.md 5.1)."""
    return code if not code.isdigit() or quirks.one_in(3) else int(code)


def reference(kind: str, quirks: Quirks) -> Json:
    item = {"Key": "QueueTimeoutURL", "Value": INTERNAL_URL.format(kind)}
    return {"ReferenceItem": [item] if quirks.one_in(4) else item}


def local_time(at: float) -> time.struct_time:
    return time.gmtime(at + 10_800)  # Kenyan time, no zone written


def number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def payment_result(payment: Payment, code: str, quirks: Quirks) -> Json:
    """Return the envelope of a B2C result; failures have no ResultParameters."""
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": result_code(code, quirks),
            "ResultDesc": DESCRIPTIONS.get(code, "The service request has failed."),
            "OriginatorConversationID": payment.ocid,
            "ConversationID": payment.conversation_id,
            "TransactionID": payment.transaction_id,
        }
    }


def success_result(
    payment: Payment, shortcode: Shortcode, wallet: Wallet, receipt: str, quirks: Quirks
) -> Json:
    body = payment_result(payment, "0", quirks)
    rows = success_parameters(payment, shortcode, wallet, receipt, quirks)
    body["Result"]["TransactionID"] = receipt
    body["Result"]["ResultParameters"] = {"ResultParameter": quirks.shuffle(rows)}
    body["Result"]["ReferenceData"] = reference("b2cresults", quirks)
    return body


def success_parameters(
    payment: Payment, shortcode: Shortcode, wallet: Wallet, receipt: str, quirks: Quirks
) -> list[Json]:
    phone = "0" + payment.msisdn[3:] if quirks.one_in(3) else payment.msisdn
    done = local_time(payment.finished_at or payment.at)
    values: Json = {
        "TransactionAmount": number(payment.amount),
        "TransactionReceipt": receipt,
        "ReceiverPartyPublicName": f"{phone} - {wallet.name}",
        "TransactionCompletedDateTime": time.strftime("%d.%m.%Y %H:%M:%S", done),
        "B2CUtilityAccountAvailableFunds": float(shortcode.utility),
        "B2CWorkingAccountAvailableFunds": float(shortcode.working),
        "B2CRecipientIsRegisteredCustomer": "Y",
        "B2CChargesPaidAccountAvailableFunds": float(shortcode.charges),
    }
    return [{"Key": key, "Value": value} for key, value in values.items()]


def failure_result(payment: Payment, code: str, quirks: Quirks) -> Json:
    body = payment_result(payment, code, quirks)
    body["Result"]["ReferenceData"] = reference("b2cresults", quirks)
    return body


def timeout_notice(payment: Payment, quirks: Quirks) -> Json:
    """No sample is published: the URL it comes to decides (contracts/mpesa.md 5.2)."""
    thin = {
        "OriginatorConversationID": payment.ocid,
        "ConversationID": payment.conversation_id,
    }
    if quirks.one_in(3):
        return thin
    text = "The service request has timed out."
    return {"Result": {"ResultType": 1, "ResultCode": 1, "ResultDesc": text, **thin}}


def query_envelope(code: str, ids: tuple[str, str], at: float, quirks: Quirks) -> Json:
    """Return a query's result: its outer ids are the query's, never the payment's."""
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": result_code(code, quirks),
            "ResultDesc": DESCRIPTIONS.get(code, SUCCESS),
            "OriginatorConversationID": ids[0],
            "ConversationID": ids[1],
            "TransactionID": f"{date_letters(at)}0000000",
        }
    }


def status_parameters(
    payment: Payment, shortcode: Shortcode, wallet: Wallet, quirks: Quirks
) -> list[Json]:
    """Return the inner parameters: two DebitPartyName rows, or the older keys with spaces."""
    old = quirks.one_in(3)
    ours, theirs = f"{payment.shortcode} - {shortcode.name}", f"{payment.msisdn} - {wallet.name}"
    started = time.strftime("%Y%m%d%H%M%S", local_time(payment.at))
    ended = time.strftime("%Y%m%d%H%M%S", local_time(payment.finished_at or payment.at))
    rows: list[tuple[str, Any]] = [
        ("DebitPartyName", ours),
        ("CreditPartyName" if old else "DebitPartyName", theirs),
        ("Originator Conversation ID" if old else "OriginatorConversationID", payment.ocid),
        ("InitiatedTime", int(started) if old else started),
        ("DebitAccountType", "Utility Account"),
        ("DebitPartyCharges", f"Fee For B2C Payment|KES|{payment.fee:.2f}"),
        ("TransactionReason", None),
        ("ReasonType", "Business Payment to Customer via API"),
        ("TransactionStatus", payment.status),
        ("FinalisedTime", int(ended) if old else ended),
        ("Amount", number(payment.amount) if old else f"{payment.amount:.2f}"),
        ("Conversation ID" if old else "ConversationID", payment.conversation_id),
        ("ReceiptNo", payment.receipt or None),
    ]
    return [{"Key": key} if value is None else {"Key": key, "Value": value} for key, value in rows]


def balance_text(shortcode: Shortcode) -> str:
    """Return accounts joined by `&`, fields by `|` (contracts/mpesa.md 8)."""
    accounts = {
        "Working Account": shortcode.working,
        "Float Account": Decimal(0),
        "Utility Account": shortcode.utility,
        "Charges Paid Account": shortcode.charges,
        "Organization Settlement Account": Decimal(0),
    }
    return "&".join(
        f"{name}|KES|{amount:.2f}|{amount:.2f}|0.00|0.00" for name, amount in accounts.items()
    )
