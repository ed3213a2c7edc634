"""What M-Pesa's results prove about an attempt (contracts/mpesa.md 6, 7, 13). Pure.

No verdict is ever softer than the evidence: whatever is not listed here as proof leaves the money's
fate open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from mpesa.models import MoneyMoved
from mpesa.result_codes import Meaning
from mpesa.results import PaymentResult, StatusResult, is_success, same_phone

NOT_FOUND_CODE = "2033"
DONE = "completed"
PROVEN_DEAD = frozenset({"cancelled", "declined", "expired"})
IN_PROGRESS = frozenset({"initiated", "authorized", "pending", "pending authorized"})


class Proof(StrEnum):
    PAID = "paid"  # money moved, exactly as asked
    DEAD = "dead"  # M-Pesa's own status says the payment is over and did not happen
    REPORTED_FAILED = "reported_failed"  # a failure result: kept, and confirmed by asking
    NOT_FOUND = "not_found"  # not in the index under our id, now. Nothing more
    OPEN = "open"  # nothing decided: ask again
    UNPROVEN = "unproven"  # success without receipt, amount or receiver: a person, and ask
    MISMATCH = "mismatch"  # success, but not of what we asked: a person


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What the attempt asked M-Pesa for. Amount in KES."""

    originator_conversation_id: str
    amount: Decimal
    msisdn: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one result proves. `receipt` and `completed_at` (UTC) come with PAID, MISMATCH only."""

    proof: Proof
    reason: str
    code: str = ""
    description: str = ""
    receipt: str = ""
    completed_at: datetime | None = None


def verdict_of_payment(result: PaymentResult, promise: Promise, meaning: Meaning) -> Verdict:
    """Read a B2C result. Success needs matching (rule 8); failure needs confirming (rule 7)."""
    verdict = _judge_payment(result, promise, meaning)
    return replace(verdict, code=result.code, description=result.description)


def verdict_of_status(result: StatusResult, promise: Promise) -> Verdict:
    """Read a status query's result. Its own code says only whether the question was answered."""
    verdict = _judge_answer(result, promise)
    if is_success(result.code):
        return verdict
    return replace(verdict, code=result.code, description=result.description)


def _judge_payment(result: PaymentResult, promise: Promise, meaning: Meaning) -> Verdict:
    if result.originator_conversation_id != promise.originator_conversation_id:
        return Verdict(proof=Proof.MISMATCH, reason="The result names another payment's id")
    if not is_success(result.code):
        return _failed_payment(result, meaning)
    if not result.receipt or result.amount is None or not result.receiver:
        return Verdict(
            proof=Proof.UNPROVEN,
            reason="M-Pesa says paid, without receipt, amount or receiver: asking for them",
        )
    problem = _mismatch(promise, amount=result.amount, parties=(result.receiver,))
    if problem:
        return _other_payment(problem, result.receipt)
    return Verdict(
        proof=Proof.PAID,
        reason=f"M-Pesa paid KES {promise.amount}, receipt {result.receipt}",
        receipt=result.receipt,
        completed_at=result.completed_at,
    )


def _judge_answer(result: StatusResult, promise: Promise) -> Verdict:
    if result.code == NOT_FOUND_CODE:
        return Verdict(proof=Proof.NOT_FOUND, reason="M-Pesa does not know a payment by our id")
    if not is_success(result.code):
        return Verdict(
            proof=Proof.OPEN,
            reason=f"The question itself failed ({result.code}: {result.description})",
        )
    named = result.originator_conversation_id
    if named and named != promise.originator_conversation_id:
        return Verdict(proof=Proof.MISMATCH, reason="The answer is about another payment's id")
    return _told_status(result, promise)


def _other_payment(problem: str, receipt: str) -> Verdict:
    return Verdict(proof=Proof.MISMATCH, reason=f"{problem} (receipt {receipt})", receipt=receipt)


def _failed_payment(result: PaymentResult, meaning: Meaning) -> Verdict:
    reason = f"M-Pesa reports failure {result.code}: {result.description or meaning.meaning}"
    proof = Proof.REPORTED_FAILED if meaning.money_moved == MoneyMoved.NO else Proof.OPEN
    return Verdict(proof=proof, reason=reason)


def _told_status(result: StatusResult, promise: Promise) -> Verdict:
    status = result.transaction_status.strip().lower()
    if status in PROVEN_DEAD:
        return Verdict(
            proof=Proof.DEAD, reason=f"M-Pesa's status query says {result.transaction_status}"
        )
    if status in IN_PROGRESS or not status:
        return Verdict(
            proof=Proof.OPEN,
            reason=f"M-Pesa still works on it ({result.transaction_status or 'no status'})",
        )
    if status != DONE:
        return Verdict(
            proof=Proof.MISMATCH, reason=f"M-Pesa's status query says {result.transaction_status}"
        )
    if not result.receipt or result.amount is None:
        return Verdict(
            proof=Proof.MISMATCH, reason="M-Pesa says Completed, without receipt or amount"
        )
    problem = _mismatch(promise, amount=result.amount, parties=result.parties)
    if problem:
        return _other_payment(problem, result.receipt)
    return Verdict(
        proof=Proof.PAID,
        reason=f"M-Pesa's status query says Completed, receipt {result.receipt}",
        receipt=result.receipt,
        completed_at=result.completed_at,
    )


def _mismatch(promise: Promise, *, amount: Decimal, parties: tuple[str, ...]) -> str:
    if amount != promise.amount:
        return f"M-Pesa paid KES {amount}, and we asked for {promise.amount}"
    if not any(same_phone(promise.msisdn, party) for party in parties):
        return "M-Pesa paid another phone number than we asked for"
    return ""
