"""Return addresses: every request to Daraja gets a secret place of its own for its answer."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from mpesa.models import CallbackKind, MpesaRequest, RequestKind
from prepared.statements import insert

SLUGS: dict[CallbackKind, str] = {
    CallbackKind.PAYMENT_RESULT: "payout-result",
    CallbackKind.PAYMENT_TIMEOUT: "payout-timeout",
    CallbackKind.STATUS_RESULT: "status-result",
    CallbackKind.STATUS_TIMEOUT: "status-timeout",
    CallbackKind.BALANCE_RESULT: "balance-result",
    CallbackKind.BALANCE_TIMEOUT: "balance-timeout",
}
KINDS: dict[str, CallbackKind] = {slug: kind for kind, slug in SLUGS.items()}
REQUEST_KINDS: dict[CallbackKind, RequestKind] = {
    CallbackKind.PAYMENT_RESULT: RequestKind.PAYMENT,
    CallbackKind.PAYMENT_TIMEOUT: RequestKind.PAYMENT,
    CallbackKind.STATUS_RESULT: RequestKind.STATUS,
    CallbackKind.STATUS_TIMEOUT: RequestKind.STATUS,
    CallbackKind.BALANCE_RESULT: RequestKind.BALANCE,
    CallbackKind.BALANCE_TIMEOUT: RequestKind.BALANCE,
}
# Safaricom refuses addresses that hold one of these (contracts/mpesa.md 5.5).
FORBIDDEN_WORDS = ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnAddress:
    """Where Daraja sends the answer to one request."""

    request_id: int
    result_url: str = field(repr=False)
    timeout_url: str = field(repr=False)


def open_request(
    *,
    kind: RequestKind,
    environment: str,
    shortcode: str,
    originator_conversation_id: str,
    now: datetime,
) -> ReturnAddress:
    """Write down that a request is about to leave, and return the addresses for its answer."""
    token = new_token()
    request = MpesaRequest(
        kind=kind,
        environment=environment,
        shortcode=shortcode,
        originator_conversation_id=originator_conversation_id,
        token_digest=digest_of(token),
        sent_at=now,
    )
    insert([request])
    result, timeout = (slug for answer, slug in SLUGS.items() if REQUEST_KINDS[answer] == kind)
    return ReturnAddress(
        request_id=request.pk,
        result_url=_address(result, token),
        timeout_url=_address(timeout, token),
    )


def find_request(kind: CallbackKind, token: str) -> MpesaRequest | None:
    """Return the request whose secret `token` is, if it expects a callback of this kind.

    Only digests are compared, so the time taken says nothing of the secret.
    """
    request = MpesaRequest.objects.filter(token_digest=digest_of(token)).first()
    return request if request and request.kind == REQUEST_KINDS[kind] else None


def digest_of(token: str) -> str:
    """Return what is stored of a return address's secret."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def new_token() -> str:
    """Return a secret of 256 bits that spells no forbidden word: one in 200 would, by chance."""
    while True:
        token = secrets.token_urlsafe(32)
        if not any(word in token.lower() for word in FORBIDDEN_WORDS):
            return token


def _address(slug: str, token: str) -> str:
    return f"{settings.PUBLIC_BASE_URL.rstrip('/')}/api/callbacks/{slug}/{token}"
