"""Letters of M-Pesa about one attempt, kept as the door keeps them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils import timezone

from disbursements.models import DisbursementRequest
from mpesa.addresses import open_request
from mpesa.models import CallbackKind, MpesaCallback, MpesaRequest, RequestKind

PAID = {
    "TransactionAmount": None,
    "TransactionReceipt": "SGH7K2M9QD",
    "ReceiverPartyPublicName": None,
    "TransactionCompletedDateTime": "23.11.2026 12:00:00",
    "B2CUtilityAccountAvailableFunds": 90000.0,
}


def ask(
    attempt: DisbursementRequest | None,
    kind: RequestKind = RequestKind.PAYMENT,
    *,
    at: datetime | None = None,
    **place: str,
) -> MpesaRequest:
    """Write down a request of ours, to which letters may answer."""
    address = open_request(
        kind=kind,
        environment=attempt.mpesa_environment if attempt else place["environment"],
        shortcode=attempt.mpesa_shortcode if attempt else place["shortcode"],
        originator_conversation_id=attempt.originator_conversation_id if attempt else "",
        now=at or timezone.now(),
    )
    return MpesaRequest.objects.get(pk=address.request_id)


def letter(
    request: MpesaRequest | None, kind: CallbackKind, body: Any, **columns: Any
) -> MpesaCallback:
    """Keep one letter, unread."""
    return MpesaCallback.objects.create(
        kind=kind,
        request=request,
        body=body if isinstance(body, str) else json.dumps(body),
        received_at=timezone.now(),
        **columns,
    )


def success(attempt: DisbursementRequest, **changes: Any) -> dict[str, Any]:
    """Return a B2C result that says this attempt is paid; None takes a parameter out."""
    values = {
        **PAID,
        "TransactionAmount": int(attempt.amount),
        "ReceiverPartyPublicName": f"0{attempt.msisdn[3:]} - JANE DOE",
        **changes,
    }
    return result(attempt, "0", values)


def failure(attempt: DisbursementRequest, code: str, text: str = "It failed") -> dict[str, Any]:
    return result(attempt, code, {}, text)


def result(
    attempt: DisbursementRequest, code: str, values: dict[str, Any], text: str = "Done"
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": text,
        "OriginatorConversationID": attempt.originator_conversation_id,
        "ConversationID": attempt.conversation_id,
        "TransactionID": "SGH0000000",
    }
    if values:
        body["ResultParameters"] = {"ResultParameter": _pairs(values)}
    return {"Result": body}


def status_answer(
    attempt: DisbursementRequest, status: str = "Completed", code: str = "0", **changes: Any
) -> dict[str, Any]:
    """Return a status query's result."""
    values = {
        "TransactionStatus": status,
        "ReceiptNo": "SGH7K2M9QD" if status == "Completed" else None,
        "Amount": int(attempt.amount),
        "DebitPartyName": f"{attempt.msisdn} - JANE DOE",
        "OriginatorConversationID": attempt.originator_conversation_id,
        "FinalisedTime": 20261123120000,
        **changes,
    }
    body: dict[str, Any] = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": "said",
        "OriginatorConversationID": "of-the-question",
        "ConversationID": "AQ_1",
    }
    if code == "0":
        body["ResultParameters"] = {"ResultParameter": _pairs(values)}
    return {"Result": body}


def balance_answer(utility: str, code: str = "0") -> dict[str, Any]:
    text = f"Working Account|KES|1.00|1.00|0.00|0.00&Utility Account|KES|{utility}|{utility}|0|0"
    values = {"AccountBalance": text} if utility else {}
    body: dict[str, Any] = {"ResultCode": code, "ResultDesc": "said", "ConversationID": "AB_1"}
    body["ResultParameters"] = {"ResultParameter": _pairs(values)}
    return {"Result": body}


def _pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in values.items() if value is not None]
