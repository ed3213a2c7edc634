"""Daraja over HTTP: one typed answer per request, and errors that say what may be done next."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from wire import Answer, NoAnswer, NotSent, Wire, WireConfig

TOKEN_PATH = "/oauth/v1/generate"  # noqa: S105 - an address, not a secret
# v3 only: v1 takes no id of ours, so a repeat there is a second payment (contracts/mpesa.md 2).
PAYMENT_PATH = "/mpesa/b2c/v3/paymentrequest"
STATUS_PATH = "/mpesa/transactionstatus/v1/query"
BALANCE_PATH = "/mpesa/accountbalance/v1/query"

DOCUMENTED_LIFE_SECONDS = 3600.0
SHORTEST_LIFE_SECONDS = 60.0

# contracts/mpesa.md 2.1, row by row. What is not listed may have moved money.
TOKEN_CODES = frozenset({"400.002.01", "400.003.01", "401.002.01", "401.001", "404.001.03"})
REFUSED_CODES = frozenset(
    {
        "400.002.02",
        "400.002.05",
        "400.003.02",
        "404.001.01",
        "404.001.04",
        "404.002.01",
        "404.003.01",
        "405.001",
    }
)
THROTTLE_CODES = frozenset({"500.003.02", "500.002.02", "500.003.03", "500.002.03"})
THROTTLE_FAULTS = frozenset({"SpikeArrestViolation", "QuotaViolation"})
NOT_AUTHORISED = "403.002.1001"
DUPLICATE_OR_INTERNAL = "500.002.1001"
NO_PRODUCT = "no apiproduct match"

MSISDN = re.compile(r"254[17][0-9]{8}")
OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
CONVERSATION_ID = re.compile(r"[\x21-\x7e]{1,100}")
CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class MpesaError(Exception):
    """Daraja did not accept a request. The subclass says what may be done next."""

    def __init__(self, text: str = "", *, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class MpesaNotSent(MpesaError):
    """Nothing left this machine. The same id may be sent again."""


class MpesaThrottled(MpesaError):
    """The gateway is too busy and very likely passed nothing on. Same id, after 60 s or more."""


class MpesaRefused(MpesaError):
    """The gateway refused the data or the set-up. Nothing was moved by this call."""


class MpesaCredentials(MpesaError):
    """The app, its token or its product is refused. Stop this shortcode until a person acts."""


class MpesaUnknown(MpesaError):
    """No clear answer. Money may have moved, so never guess: ask."""

    def __init__(self, text: str = "", *, code: str = "", is_duplicate: bool = False) -> None:
        super().__init__(text, code=code)
        self.is_duplicate = is_duplicate


class _TokenRejected(Exception):
    def __init__(self, fault: _Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


@dataclass(frozen=True, kw_only=True, slots=True)
class MpesaConfig:
    """One Daraja app and the shortcode it pays from."""

    base_url: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    shortcode: str
    initiator_name: str
    security_credential: str = field(repr=False)
    connect_timeout: float = 5
    read_timeout: float = 60
    allow_private_hosts: bool = False
    pool_size: int = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshToken:
    """A token just issued, and for how many seconds it lives."""

    access_token: str = field(repr=False)
    lifetime: float


class TokenStore(Protocol):
    """Where the one live token of an app is kept: asking for another kills it."""

    def token(self, fetch: Callable[[], FreshToken]) -> str:
        """Return the live token, calling `fetch` only when there is none."""

    def discard(self, access_token: str) -> None:
        """Forget `access_token` if it is still the one that is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentOrder:
    """Pay `amount` to `msisdn`, once, under our own id."""

    originator_conversation_id: str
    amount: Decimal
    msisdn: str = field(repr=False)
    remarks: str
    occasion: str = ""
    # Monotonic seconds: after this moment the order may no longer leave (reliability.md X5).
    not_after: float | None = None
    result_url: str = field(repr=False)
    timeout_url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusQuestion:
    """What became of the payment with this id of ours? `not_after` is monotonic seconds."""

    originator_conversation_id: str
    remarks: str
    result_url: str = field(repr=False)
    timeout_url: str = field(repr=False)
    not_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BalanceQuestion:
    """What is in the accounts of our shortcode?"""

    remarks: str
    result_url: str = field(repr=False)
    timeout_url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """Daraja queued the payment. The outcome comes later, as a callback."""

    conversation_id: str
    originator_conversation_id: str
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Daraja queued the question. `conversation_id` is the question's own."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class _Fault:
    """What an answer that is not an acceptance says, in whichever of Daraja's two shapes."""

    status: int
    code: str
    message: str

    @property
    def is_throttle(self) -> bool:
        named = self.code in THROTTLE_CODES or self.code in THROTTLE_FAULTS
        return self.status == 429 or (self.status >= 400 and named)

    @property
    def is_at_the_gate(self) -> bool:
        return 400 <= self.status < 500

    @property
    def is_no_product(self) -> bool:
        return NO_PRODUCT in self.message.lower()


def whole_shillings(amount: Decimal) -> int:
    """Return `amount` as Daraja wants it: whole shillings, never rounded for the caller."""
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(f"M-Pesa pays whole shillings, not {amount}")
    if not 0 < amount < 1_000_000_000:
        raise ValueError(f"{amount} is not an amount that can be paid")
    return int(amount)


class MpesaClient:
    """The B2C, status and balance calls of one shortcode."""

    def __init__(self, config: MpesaConfig, tokens: TokenStore, wire: Wire | None = None) -> None:
        self._config = config
        self._tokens = tokens
        self._wire = wire or Wire(
            WireConfig(
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
                allow_private_hosts=config.allow_private_hosts,
                pool_size=config.pool_size,
            )
        )

    def prepare(self) -> None:
        """Obtain the token. Raises MpesaNotSent, MpesaCredentials or MpesaThrottled."""
        self._tokens.token(self._fetch_token)

    def pay(self, order: PaymentOrder) -> Accepted:
        """Ask for one payment: one POST, one id. ValueError before anything leaves; MpesaError."""
        document = self._post(PAYMENT_PATH, self._payment_body(order), not_after=order.not_after)
        echoed = _text(document, "OriginatorConversationID")
        if echoed != order.originator_conversation_id:
            # Mixed keep-alive answers: this one belongs to another request (reliability.md H30).
            raise MpesaUnknown("the answer names another request than ours")
        return Accepted(
            conversation_id=_text(document, "ConversationID"),
            originator_conversation_id=echoed,
            description=self._redact(_text(document, "ResponseDescription")),
        )

    def ask_status(self, question: StatusQuestion) -> Asked:
        """Ask what became of a payment, by our own id. Raises ValueError or MpesaError."""
        _check_own_id(question.originator_conversation_id)
        # TransactionID beside it, even empty, makes the whole answer empty (contracts/mpesa.md 7).
        own = {
            "CommandID": "TransactionStatusQuery",
            "OriginalConversationID": question.originator_conversation_id,
            "Occasion": question.remarks,
        }
        return self._ask(STATUS_PATH, own, question, not_after=question.not_after)

    def ask_balance(self, question: BalanceQuestion) -> Asked:
        """Ask for the balances of our accounts. Raises ValueError or MpesaError."""
        return self._ask(BALANCE_PATH, {"CommandID": "AccountBalance"}, question)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def _payment_body(self, order: PaymentOrder) -> dict[str, str]:
        _check_own_id(order.originator_conversation_id)
        if not MSISDN.fullmatch(order.msisdn):
            raise ValueError("the phone number is not a Kenyan mobile number of 12 digits")
        if len(order.occasion) > 100:
            raise ValueError("the occasion is longer than 100 characters")
        body = {
            "OriginatorConversationID": order.originator_conversation_id,
            "InitiatorName": self._config.initiator_name,
            "SecurityCredential": self._config.security_credential,
            "CommandID": "BusinessPayment",
            "Amount": str(whole_shillings(order.amount)),
            "PartyA": self._config.shortcode,
            "PartyB": order.msisdn,
            **_return_addresses(order),
        }
        # Two c and two s here, one of each on the status query; never empty (contracts/mpesa.md 2).
        return body | {"Occassion": order.occasion} if order.occasion else body

    def _ask(
        self,
        path: str,
        own: dict[str, str],
        question: StatusQuestion | BalanceQuestion,
        *,
        not_after: float | None = None,
    ) -> Asked:
        body = {
            "Initiator": self._config.initiator_name,
            "SecurityCredential": self._config.security_credential,
            "PartyA": self._config.shortcode,
            "IdentifierType": "4",
            **own,
            **_return_addresses(question),
        }
        document = self._post(path, body, not_after=not_after)
        return Asked(conversation_id=_text(document, "ConversationID"))

    def _post(
        self, path: str, body: dict[str, str], *, not_after: float | None = None
    ) -> dict[str, object]:
        """Return the accepting answer. A rejected token is replaced once, and the same body sent:
        the gateway rejects it before M-Pesa sees the request (contracts/mpesa.md 1)."""
        try:
            return self._post_once(path, body, not_after)
        except _TokenRejected:
            pass
        try:
            return self._post_once(path, body, not_after)
        except MpesaNotSent as exc:
            # The first one did leave, and a gateway's word is no proof that it went no further.
            raise MpesaThrottled(f"The gateway turned it away, and a second time: {exc}") from exc
        except MpesaRefused as exc:
            # It speaks of the second one only.
            said = f"The gateway turned it away, and then refused it: {exc}"
            raise MpesaUnknown(said, code=exc.code) from exc
        except _TokenRejected as rejected:
            fault = rejected.fault
            raise MpesaCredentials(
                "a token issued a moment ago is rejected", code=fault.code
            ) from rejected

    def _post_once(
        self, path: str, body: dict[str, str], not_after: float | None
    ) -> dict[str, object]:
        token = self._tokens.token(self._fetch_token)
        if not_after is not None and time.monotonic() > not_after:
            raise MpesaNotSent("What it rests on had become too old; nothing was sent")
        try:
            answer = self._wire.send(
                "POST",
                self._config.base_url + path,
                headers={"Authorization": f"Bearer {token}"},
                body=body,
                begin_by=not_after,
            )
        except NotSent as exc:
            raise MpesaNotSent("M-Pesa could not be reached in time; nothing was sent") from exc
        except NoAnswer as exc:
            raise MpesaUnknown("M-Pesa gave no answer") from exc
        return self._accepting(answer, token)

    def _accepting(self, answer: Answer, token: str) -> dict[str, object]:
        document = _document_of(answer)
        if answer.status == 200 and _is_acceptance(document):
            return document
        fault = _fault_of(answer.status, document)
        if fault.is_no_product or _is_token_fault(fault):
            # A token is also bound to the products of the day it was issued (contracts/mpesa.md 1).
            self._tokens.discard(token)
        raise self._error_of(fault, token)

    def _error_of(self, fault: _Fault, token: str) -> Exception:
        text = f"HTTP {fault.status} {fault.code} {fault.message}"
        said = self._redact(f"M-Pesa answered {text}".strip(), token)
        if fault.code == DUPLICATE_OR_INTERNAL:
            # The code alone also means "internal error" (contracts/mpesa.md 0.3, 2.1).
            is_duplicate = "duplicate" in fault.message.lower()
            return MpesaUnknown(said, code=fault.code, is_duplicate=is_duplicate)
        if fault.is_throttle:
            return MpesaThrottled(said, code=fault.code)
        if fault.is_at_the_gate and fault.is_no_product:
            return MpesaCredentials(said, code=fault.code)
        if _is_token_fault(fault):
            return _TokenRejected(fault)
        if fault.status == 403 and fault.code == NOT_AUTHORISED:
            return MpesaCredentials(said, code=fault.code)
        if fault.is_at_the_gate and fault.code in REFUSED_CODES:
            return MpesaRefused(said, code=fault.code)
        return MpesaUnknown(said, code=fault.code)

    def _fetch_token(self) -> FreshToken:
        try:
            answer = self._wire.send(
                "GET",
                self._config.base_url + TOKEN_PATH,
                params={"grant_type": "client_credentials"},
                auth=(self._config.consumer_key, self._config.consumer_secret),
            )
        except (NotSent, NoAnswer) as exc:
            raise MpesaNotSent("M-Pesa gave no token; no payment was sent") from exc
        document = _document_of(answer)
        access_token = _text(document, "access_token")
        if answer.status == 200 and HEADER_SAFE.fullmatch(access_token):
            return FreshToken(
                access_token=access_token, lifetime=_lifetime(document.get("expires_in"))
            )
        raise self._token_error(_fault_of(answer.status, document))

    def _token_error(self, fault: _Fault) -> MpesaError:
        text = f"M-Pesa gave no token: HTTP {fault.status} {fault.code} {fault.message}"
        said = self._redact(text.strip())
        if fault.is_throttle:
            return MpesaThrottled(said, code=fault.code)
        # A wrong consumer key may be answered with an empty body (contracts/mpesa.md 1).
        if fault.status in (400, 401) or (fault.status == 403 and fault.code):
            return MpesaCredentials(said, code=fault.code)
        return MpesaNotSent(said, code=fault.code)

    def _redact(self, text: str, token: str = "") -> str:
        """Return `text` fit for a log: no secret of ours, no phone number, one short line."""
        config = self._config
        secrets = (token, config.consumer_key, config.consumer_secret, config.security_credential)
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text[:400]).split())
        return re.sub(r"(?<!\S)(?=\S*[0-9])(?![0-9.]+(?!\S))\S{9,}|[0-9]{7,}", "***", text)[:200]


def _is_token_fault(fault: _Fault) -> bool:
    return fault.is_at_the_gate and fault.code in TOKEN_CODES and not fault.is_no_product


def _is_acceptance(document: dict[str, object]) -> bool:
    code = document.get("ResponseCode")
    accepted = code == "0" or (type(code) is int and code == 0)
    return accepted and bool(CONVERSATION_ID.fullmatch(_text(document, "ConversationID")))


def _document_of(answer: Answer) -> dict[str, object]:
    """Return the JSON object of the answer, or an empty one: then nothing in it can be trusted."""
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _fault_of(status: int, document: dict[str, object]) -> _Fault:
    match document.get("fault"):
        case {"faultstring": str(message), "detail": {"errorcode": str(code)}}:
            return _Fault(status, _code(code.rpartition(".")[2]), message)
        case {"faultstring": str(message)}:
            return _Fault(status, "", message)
    code = _text(document, "errorCode") or _text(document, "ResponseCode")
    message = _text(document, "errorMessage") or _text(document, "ResponseDescription")
    return _Fault(status, _code(code), message)


def _code(text: str) -> str:
    return text if CODE.fullmatch(text) else ""


def _text(document: dict[str, object], key: str) -> str:
    value = document.get(key)
    if isinstance(value, str):
        return value.strip()
    return str(value) if type(value) is int else ""


def _lifetime(expires_in: object) -> float:
    """Return the seconds a token lives: a string on the wire, a number on the portal."""
    try:
        seconds = float(str(expires_in))
    except ValueError:
        return DOCUMENTED_LIFE_SECONDS
    if not math.isfinite(seconds):
        return DOCUMENTED_LIFE_SECONDS
    return min(max(seconds, SHORTEST_LIFE_SECONDS), DOCUMENTED_LIFE_SECONDS)


def _check_own_id(originator_conversation_id: str) -> None:
    if not OWN_ID.fullmatch(originator_conversation_id):
        raise ValueError("the id must be 1 to 36 of A-Z a-z 0-9 _ -")


def _return_addresses(ask: PaymentOrder | StatusQuestion | BalanceQuestion) -> dict[str, str]:
    if not 2 <= len(ask.remarks) <= 100:
        raise ValueError("remarks must have 2 to 100 characters")
    if not ask.result_url or not ask.timeout_url:
        raise ValueError("an address for the result and one for the time-out are needed")
    return {
        "Remarks": ask.remarks,
        "QueueTimeOutURL": ask.timeout_url,
        "ResultURL": ask.result_url,
    }
