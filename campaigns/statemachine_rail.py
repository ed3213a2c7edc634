"""M-Pesa in this process: one ledger of money, the quirks of Daraja, and the letters it sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from campaigns.statemachine_time import TICK, Clock, Fuse
from mpesa.client import BALANCE_PATH, PAYMENT_PATH, STATUS_PATH, TOKEN_PATH
from wire import Answer, NoAnswer, NotSent

NAIROBI = ZoneInfo("Africa/Nairobi")
Body = dict[str, Any]
Faults = Mapping[str, tuple[int, Body | str]]

# Answers to a B2C request that M-Pesa itself never sees (contracts/mpesa.md 2.1: "moved? no").
AT_THE_GATE: Faults = {
    "bad_request": (400, {"errorCode": "400.002.02", "errorMessage": "Bad Request - Invalid X"}),
    "dead_token": (404, {"errorCode": "404.001.03", "errorMessage": "Invalid Access Token"}),
    "not_authorised": (403, {"errorCode": "403.002.1001", "errorMessage": "not authorized"}),
    "no_product": (401, {"fault": {"faultstring": "no apiproduct match found"}}),
    "wrong_path": (404, {"errorCode": "404.001.01", "errorMessage": "Resource not found"}),
}
# Answers that leave open whether money moved.
OPEN_ANSWERS: Faults = {
    "internal": (500, {"errorCode": "500.002.1001", "errorMessage": "System internal error"}),
    "other_500": (500, {"errorCode": "500.001.1001", "errorMessage": "Internal Server Error"}),
    "bad_gateway": (502, "<html>Bad Gateway</html>"),
    "html": (200, "<html>Login</html>"),
    "empty": (200, {}),
    "code_26": (200, {"ResponseCode": "26", "ResponseDescription": "Traffic blocking"}),
    "no_conversation": (200, {"ResponseCode": "0", "ResponseDescription": "Accepted"}),
    "strange_400": (400, {"errorCode": "499.999.99", "errorMessage": "Something new"}),
    "spike_arrest": (500, {"errorCode": "500.003.02", "errorMessage": "Spike arrest"}),
    "quota": (429, {"fault": {"faultstring": "x", "detail": {"errorcode": "p.QuotaViolation"}}}),
}
SILENCES = ("timeout", "reset")
OTHERS = ("other_request",)
ANSWERS = ("accepted", *AT_THE_GATE, *OPEN_ANSWERS, *SILENCES, *OTHERS, "refused_connection")
UNCERTAIN = (*OPEN_ANSWERS, *SILENCES, *OTHERS)
FATES = ("pays", "refuses", "late", "never")
# Refused before a transaction exists: a status query then says 2033 (contracts/mpesa.md 6).
BEFORE_TRANSACTION = frozenset({"20", "21", "2001", "2028", "8006", "SFC_IC0003"})
CREDENTIAL_FAULTS = frozenset({"2001", "8006", "21"})
FAILURES = ("1", "2", "4", "8", "21", "2001", "2040", "8006", "17", "26", "SFC_IC0003", "9999")


@dataclass(frozen=True)
class Plan:
    """What happens to the next B2C request."""

    answer: str = "accepted"
    fate: str = "pays"
    code: str = "2040"
    letter_first: bool = False  # the result overtakes the answer
    delay: float = 0.0  # seconds the call takes


@dataclass
class Payment:
    """One id that M-Pesa has seen, and what became of it."""

    ocid: str
    amount: Decimal
    msisdn: str
    shortcode: str
    result_url: str
    timeout_url: str
    conversation_id: str
    fate: str
    code: str
    state: str = "queued"  # queued, paid, refused
    receipt: str = ""
    settled_at: datetime | None = None
    failure_was_told: bool = False

    @property
    def is_paid(self) -> bool:
        return self.state == "paid"


@dataclass(frozen=True)
class Question:
    """A status or balance query that M-Pesa has taken."""

    kind: str
    ocid: str
    result_url: str
    timeout_url: str
    conversation_id: str


@dataclass(frozen=True)
class Letter:
    """A callback on its way."""

    url: str
    body: str
    ocid: str
    says: str


@dataclass
class Rail:
    """The ledger of one Daraja. `on_send` looks at every B2C request as it leaves the house."""

    clock: Clock
    fuse: Fuse
    plans: list[Plan] = field(default_factory=list)
    victim: str = ""  # the shortcode whose sends the plans are for; empty = any
    payments: dict[str, Payment] = field(default_factory=dict)
    lost_in_queue: dict[str, list[Body]] = field(default_factory=dict)
    requests: list[Body] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    # How each send of an id ended: a name of ANSWERS; a send that the process did not survive
    # stays "died".
    sends: dict[str, list[str]] = field(default_factory=dict)
    floats: dict[str, Decimal] = field(default_factory=dict)
    token_trouble: str = ""
    token_delay: float = 0.0
    query_trouble: str = ""
    keys: dict[str, str] = field(default_factory=dict)  # shortcode → consumer key
    strange_tokens: list[str] = field(default_factory=list)
    credential_trouble: dict[str, str] = field(default_factory=dict)
    on_send: Callable[[Body], None] = lambda body: None
    deliver: Callable[[Letter], None] = lambda letter: None
    _numbers: int = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def could_still_pay(self, ocid: str) -> bool:
        """May money still move, or has it moved, under this id? The oracle's word, not ours."""
        payment = self.payments.get(ocid)
        late = bool(self.lost_in_queue.get(ocid))
        return late if payment is None else payment.state != "refused"

    def land_late(self, ocid: str) -> None:
        """A request that was stuck on the way arrives now, after all that was said of it."""
        bodies = self.lost_in_queue.pop(ocid, [])
        for body in bodies:
            if ocid not in self.payments:
                self._record(body, Plan(fate="pays"))
                self._settle(self.payments[ocid])

    def lose_late(self, ocid: str) -> None:
        self.lost_in_queue.pop(ocid, None)

    def settle_queued(self) -> None:
        """Let every accepted payment that waits inside M-Pesa get its fate."""
        for payment in self.payments.values():
            if payment.state == "queued":
                self._settle(payment)

    def take_payment(self, body: Body) -> Answer:
        """Answer one B2C request. The effect comes before the answer, as it does there."""
        meant = self.plans and self.victim in {"", str(body["PartyA"])}
        plan = self.plans.pop(0) if meant else Plan()
        if plan.answer == "refused_connection":
            raise NotSent("no way to M-Pesa")
        self.on_send(body)
        self.requests.append(body)
        sends = self.sends.setdefault(str(body["OriginatorConversationID"]), [])
        sends.append("died")
        if plan.answer in AT_THE_GATE:
            sends[-1] = plan.answer
            return answer_of(*AT_THE_GATE[plan.answer])
        duplicate = self._arrive(body, plan)
        self.fuse.pass_by("after the effect of a B2C request")
        sends[-1] = plan.answer
        self.clock.advance(plan.delay)
        if plan.answer in SILENCES:
            raise NoAnswer("M-Pesa fell silent")
        if plan.answer in OPEN_ANSWERS:
            return answer_of(*OPEN_ANSWERS[plan.answer])
        if duplicate:
            return answer_of(500, DUPLICATE)
        return answer_of(200, self._acknowledgement(body, plan))

    def _arrive(self, body: Body, plan: Plan) -> bool:
        ocid = str(body["OriginatorConversationID"])
        if ocid in self.payments:
            return True
        if plan.fate == "late":
            self.lost_in_queue.setdefault(ocid, []).append(body)
        elif plan.fate != "never":
            self._record(body, plan)
            if plan.letter_first:
                self._settle(self.payments[ocid])
                self.deliver(self.letters.pop())
        return False

    def _record(self, body: Body, plan: Plan) -> None:
        ocid = str(body["OriginatorConversationID"])
        self.payments[ocid] = Payment(
            ocid=ocid,
            amount=Decimal(str(body["Amount"])),
            msisdn=str(body["PartyB"]),
            shortcode=str(body["PartyA"]),
            result_url=str(body["ResultURL"]),
            timeout_url=str(body["QueueTimeOutURL"]),
            conversation_id=f"AG_20261123_{self.number():020d}",
            fate=plan.fate,
            code=plan.code,
        )

    def _settle(self, payment: Payment) -> None:
        left = self.floats.get(payment.shortcode, Decimal(0))
        code = self.credential_trouble.get(payment.shortcode, "")
        if payment.fate == "refuses":
            code = payment.code
        elif not code and left < payment.amount:
            code = "1"
        payment.settled_at = self.clock.now()
        payment.code = code or "0"
        payment.state = "refused" if code else "paid"
        if not code:
            payment.receipt = f"SKN{self.number():07d}"
            self.floats[payment.shortcode] = left - payment.amount
        self.letters.append(self.result_of(payment))

    def _acknowledgement(self, body: Body, plan: Plan) -> Body:
        ocid = str(body["OriginatorConversationID"])
        known = self.payments.get(ocid)
        named = "600000-another-request" if plan.answer == "other_request" else ocid
        return {
            "ConversationID": known.conversation_id if known else f"AG_{self.number():020d}",
            "OriginatorConversationID": named,
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }

    def result_of(self, payment: Payment, **changed: Any) -> Letter:
        """Return the B2C result of a settled payment; `changed` tells a lie."""
        if payment.is_paid or changed.get("code") == "0":
            body = self._success(payment, changed)
        else:
            body = envelope(payment, changed.get("code", payment.code))
        says = str(body["Result"]["ResultCode"])
        return Letter(payment.result_url, json.dumps(body), payment.ocid, says)

    def _success(self, payment: Payment, changed: Body) -> Body:
        body = envelope(payment, changed.get("code", "0"))
        done = (payment.settled_at or self.clock.now()).astimezone(NAIROBI)
        phone = changed.get("msisdn", payment.msisdn)
        values = {
            "TransactionAmount": int(changed.get("amount", payment.amount)),
            "TransactionReceipt": changed.get("receipt", payment.receipt),
            "ReceiverPartyPublicName": f"0{phone[3:]} - JANE",
            "TransactionCompletedDateTime": done.strftime("%d.%m.%Y %H:%M:%S"),
            "B2CUtilityAccountAvailableFunds": float(self.floats.get(payment.shortcode, 0)),
        }
        rows = [{"Key": key, "Value": value} for key, value in values.items() if value != ""]
        body["Result"]["ResultParameters"] = {"ResultParameter": rows}
        return body

    def take_question(self, body: Body, kind: str) -> Answer:
        """Queue a status or balance query; its answer is a letter of its own."""
        if self.query_trouble:
            return answer_of(*OPEN_ANSWERS[self.query_trouble])
        conversation_id = f"AG_Q_{self.number():018d}"
        self.questions.append(
            Question(
                kind=kind,
                ocid=str(body.get("OriginalConversationID", body["PartyA"])),
                result_url=str(body["ResultURL"]),
                timeout_url=str(body["QueueTimeOutURL"]),
                conversation_id=conversation_id,
            )
        )
        ack = {
            "ConversationID": conversation_id,
            "OriginatorConversationID": f"Q-{self.number()}",
            "ResponseCode": "0",
            "ResponseDescription": "Accepted",
        }
        return answer_of(200, ack)

    def answer_question(self, question: Question, says: str = "truth") -> Letter:
        """Write the answer to a query. What it says of the money is true, or says nothing."""
        if question.kind == "balance":
            return self._balance(question)
        payment = self.payments.get(question.ocid)
        status = "" if says == "truth" else says
        if says == "truth":
            status = status_of(payment)
        if status == "timeout":
            body: Body = {"Result": {"ResultCode": "1", "ResultDesc": "timeout"}}
            return Letter(question.timeout_url, json.dumps(body), question.ocid, "timeout")
        body = self._status_body(question, payment, status)
        return Letter(question.result_url, json.dumps(body), question.ocid, f"status {status}")

    def _status_body(self, question: Question, payment: Payment | None, status: str) -> Body:
        result: Body = {
            "ResultType": 0,
            "ResultCode": status if status in QUERY_FAULTS else 0,
            "ResultDesc": "The service request is processed.",
            "OriginatorConversationID": f"Q-{question.conversation_id}",
            "ConversationID": question.conversation_id,
            "TransactionID": "SKN0000000",
        }
        if status not in QUERY_FAULTS:
            rows = [{"Key": "TransactionStatus", "Value": status}]
            rows.append({"Key": "OriginatorConversationID", "Value": question.ocid})
            if payment is not None and payment.is_paid:
                rows += paid_rows(payment)
            result["ResultParameters"] = {"ResultParameter": rows}
        return {"Result": result}

    def _balance(self, question: Question) -> Letter:
        funds = self.floats.get(question.ocid, Decimal(0))
        text = f"Working Account|KES|1.00|1.00|0.00|0.00&Utility Account|KES|{funds}|{funds}|0|0"
        rows = [{"Key": "AccountBalance", "Value": text}]
        result = {
            "ResultCode": 0,
            "ResultDesc": "ok",
            "OriginatorConversationID": "Q",
            "ConversationID": question.conversation_id,
            "ResultParameters": {"ResultParameter": rows},
        }
        return Letter(question.result_url, json.dumps({"Result": result}), "", "balance")


DUPLICATE = {"errorCode": "500.002.1001", "errorMessage": "Duplicate OriginatorConversationID."}
QUERY_FAULTS = frozenset({"2033", "2001", "17"})


def status_of(payment: Payment | None) -> str:
    """Return what a truthful status query says."""
    if payment is None:
        return "2033"
    if payment.state == "queued":
        return "Pending"
    if payment.is_paid:
        return "Completed"
    return "2033" if payment.code in BEFORE_TRANSACTION else "Declined"


def paid_rows(payment: Payment) -> list[Body]:
    done = (payment.settled_at or datetime.now(NAIROBI)).astimezone(NAIROBI)
    return [
        {"Key": "ReceiptNo", "Value": payment.receipt},
        {"Key": "Amount", "Value": int(payment.amount)},
        {"Key": "DebitPartyName", "Value": f"{payment.shortcode} - LENDER"},
        {"Key": "DebitPartyName", "Value": f"{payment.msisdn} - JANE"},
        {"Key": "FinalisedTime", "Value": done.strftime("%Y%m%d%H%M%S")},
    ]


def envelope(payment: Payment, code: str) -> Body:
    """Return a B2C result without parameters, as failures have."""
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": int(code) if code.isdigit() else code,
            "ResultDesc": "The service request is processed." if code == "0" else f"Code {code}",
            "OriginatorConversationID": payment.ocid,
            "ConversationID": payment.conversation_id,
            "TransactionID": payment.receipt or "SKN0000000",
        }
    }


def answer_of(status: int, body: Body | str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=status, headers={}, body=text.encode(), url="")


class RailWire:
    """Stands where the wire to Daraja is; the real client above it reads the answers."""

    def __init__(self, rail: Rail) -> None:
        self._rail = rail

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
        auth: tuple[str, str] | None = None,
        begin_by: float | None = None,
    ) -> Answer:
        """Answer one request after its path; `begin_by` is the real wire's."""
        self._rail.fuse.pass_by("before a call to M-Pesa")
        self._rail.clock.advance(TICK)
        self._check_token(dict(headers or {}), body)
        answer = self._answer(urlsplit(url).path, body, auth)
        self._rail.fuse.pass_by("after a call to M-Pesa")
        return answer

    def close(self) -> None:
        """There is nothing to close."""

    def _check_token(self, headers: dict[str, str], body: Any) -> None:
        """A token works for the app that asked for it; `keys` says whose shortcode is whose."""
        key = self._rail.keys.get(str(body["PartyA"])) if body else None
        if key is not None and not headers["Authorization"].endswith(f"-of-{key}"):
            self._rail.strange_tokens.append(str(body["PartyA"]))

    def _answer(self, path: str, body: Any, auth: tuple[str, str] | None) -> Answer:
        match path:
            case p if p == TOKEN_PATH:
                return self._token(auth)
            case p if p == PAYMENT_PATH:
                return self._rail.take_payment(dict(body))
            case p if p == STATUS_PATH:
                return self._rail.take_question(dict(body), "status")
            case p if p == BALANCE_PATH:
                return self._rail.take_question(dict(body), "balance")
        raise AssertionError(f"the product called {path}, which Daraja does not have")

    def _token(self, auth: tuple[str, str] | None) -> Answer:
        self._rail.clock.advance(self._rail.token_delay)
        if self._rail.token_trouble == "silent":
            raise NoAnswer("no token")
        if self._rail.token_trouble == "refused":
            return answer_of(400, {"errorCode": "400.008.01", "errorMessage": "Invalid auth"})
        token = f"token-{self._rail.number()}-of-{auth[0] if auth else ''}"
        return answer_of(200, {"access_token": token, "expires_in": "3599"})
