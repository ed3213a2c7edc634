"""The words of each confirmation page: what will happen, with what evidence, and the button."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.pages.actions import OUTCOME_WORDS, Kind
from disbursements.pages.cases import Case
from disbursements.pages.standing import Standing, float_words
from disbursements.pages.tags import attempt_tag
from disbursements.pages.wording import clock, masked_phone, money, payout, without_phones
from disbursements.resolve import RECORD_BY_HAND, is_recorded_by_hand
from loans.models import HoldReason, LoanEvent
from mpesa.models import MpesaRequest, RequestKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One confirmation page in words. `button` repeats the verb and the amount."""

    title: str
    what: str
    button: str
    is_grave: bool = False


# Title, what happens, button. {who} is the phone, {money} the amount, {loan} the number.
TEXTS: dict[str, tuple[str, str, str]] = {
    "approve": (
        "Approve this payout",
        "The next pass pays {money} to {who}, if nothing else holds it.",
        "Approve {money}",
    ),
    "decline": (
        "Decline this payout",
        "Nothing is paid. The loan stays held until somebody releases it.",
        "Decline {money}",
    ),
    "ask": (
        "Ask M-Pesa now",
        "M-Pesa is asked what became of this payment. Asking moves no money.",
        "Ask about {money}",
    ),
    "retry": (
        "Pay this loan again",
        "The next pass looks into Mifos X again and then pays {money} to {who}, as a new attempt.",
        "Pay {money} again",
    ),
    "record": (
        "Tell Mifos X again",
        "The payment of {money} is recorded in Mifos X. Nothing is paid.",
        "Record {money} in Mifos X",
    ),
    "resolve": (
        "Settle by hand",
        "Look into the M-Pesa statement first. You propose what it shows; nothing moves until "
        "another person confirms it.",
        "Propose the outcome of {money}",
    ),
    "withdraw": (
        "Withdraw the proposal",
        "Nothing moves. Another outcome may then be proposed.",
        "Withdraw the proposal on {money}",
    ),
    "hold": (
        "Hold this loan",
        "It is not paid until somebody releases it.",
        "Hold {money}",
    ),
    "release": (
        "Release this loan",
        "Its rules decide again; the next pass pays {money}, if nothing else holds it.",
        "Release {money}",
    ),
    "reread": (
        "Read Mifos X again",
        "The loan and its client are read from Mifos X now. This pays nothing.",
        "Read loan {loan} again",
    ),
    "cycle": (
        "Open a new cycle",
        "The loan was paid once and its disbursement was undone. The new cycle of {money} waits "
        "for the approval of a person other than you.",
        "Open a new cycle of {money}",
    ),
}
GRAVE = {"approve", "retry", "confirm"}


def question_of(kind: Kind, case: Case) -> Question:
    """Return the words for doing this with this loan."""
    if kind.name == "confirm":
        return _confirmation(case)
    title, what, button = (text.format(**_facts(case)) for text in TEXTS[kind.name])
    return Question(title=title, what=what, button=button, is_grave=kind.name in GRAVE)


def _confirmation(case: Case) -> Question:
    proposal, amount = case.proposal, _facts(case)["money"]
    outcome = ResolutionOutcome(proposal.outcome) if proposal else ResolutionOutcome.NOT_PAID
    said = OUTCOME_WORDS[outcome]
    after = {
        ResolutionOutcome.PAID: "The loan then counts as paid, and Mifos X is told.",
        ResolutionOutcome.NOT_PAID: "An operator may then pay it again. If M-Pesa did pay, that "
        "pays the client twice.",
    }
    if proposal and is_recorded_by_hand(proposal):
        after[ResolutionOutcome.PAID] = RECORD_BY_HAND
    return Question(
        title=f"Confirm: {said}",
        what=f"You confirm, with the M-Pesa statement before you, that {amount} was {said}. "
        f"{after[outcome]}",
        button=f"Confirm: {amount} was {said}",
        is_grave=True,
    )


def _facts(case: Case) -> dict[str, str]:
    loan = case.loan
    return {
        "money": money(payout(loan), loan.currency),
        "who": masked_phone(loan.phone_number).replace(" ", "\u00a0"),  # on one line
        "loan": str(loan.loan_id),
    }


def evidence(case: Case, standing: Standing | None, *, now: datetime) -> list[str]:
    """Return what is known that tells whether this is safe."""
    found = [
        *_of_the_past(case),
        *_of_request(case, now),
        *_of_hold(case),
        *(_of_attempt(case.attempt, now) if case.attempt else [_nothing_sent(case)]),
        *_of_proposal(case, now),
        *_of_float(standing, now),
    ]
    return [without_phones(line) for line in found]


def _of_the_past(case: Case) -> Iterator[str]:
    if case.loan.approval_cause == HoldReason.REOPENED:
        yield (
            "This loan was paid or disbursed before, and the client may have the money: see its "
            "history."
        )


def _of_hold(case: Case) -> Iterator[str]:
    if case.loan.staff_hold:
        yield f"{case.loan.staff_hold.rstrip('.')}."


def _nothing_sent(case: Case) -> str:
    if case.loan.staff_hold:
        return "Loan Poll knows of nothing sent; the client may have been paid another way."
    return "Nothing was sent to M-Pesa yet."


def _of_request(case: Case, now: datetime) -> Iterator[str]:
    if case.request:
        by = case.request.requested_by
        who = "the rules of the product" if by == "system" else by
        asked = f"Approval asked by {who} at {clock(case.request.requested_at, now=now)}"
        why = case.loan.error_message.rstrip(".")
        yield f"{asked}: {why}." if why else f"{asked}."


def _of_attempt(attempt: DisbursementRequest, now: datetime) -> Iterator[str]:
    at = clock(attempt.first_sent_at or attempt.created_at, now=now)
    said = f", code {attempt.result_code}" if attempt.result_code else ""
    words = f": {attempt.result_description.rstrip('.')}" if attempt.result_description else ""
    state = attempt_tag(attempt.status).text.lower()
    yield f"Attempt {attempt.attempt_no}, sent {at}: {state}{said}{words}."
    if attempt.transaction_receipt:
        yield f"M-Pesa receipt {attempt.transaction_receipt}."
    if attempt.status == AttemptStatus.FAILED:
        yield from _proof(attempt)
    yield from _of_questions(attempt, now)


def _proof(attempt: DisbursementRequest) -> Iterator[str]:
    moves = LoanEvent.objects.filter(
        loan_tracking_id=attempt.loan_tracking_id,
        disbursement_request_id=attempt.pk,
        to_status=AttemptStatus.FAILED,
    )
    if event := moves.order_by("-id").first():
        yield f"Proof that no money moved: {event.reason.rstrip('.')}."


def _of_questions(attempt: DisbursementRequest, now: datetime) -> Iterator[str]:
    asked = MpesaRequest.objects.filter(
        kind=RequestKind.STATUS,
        originator_conversation_id=attempt.originator_conversation_id,
    )
    last = asked.order_by("-id").first()
    if last is None:
        yield "M-Pesa was not asked about it yet."
    else:
        outcome = last.outcome.rstrip(".") or _answer_to(last)
        yield f"M-Pesa was asked at {clock(last.sent_at, now=now)}: {outcome}."


def _answer_to(question: MpesaRequest) -> str:
    if question.answered_at is None:
        return "no answer yet"
    letter = question.callbacks.order_by("-id").first()
    return without_phones(letter.outcome).rstrip(".") if letter else "answered"


def _of_proposal(case: Case, now: datetime) -> Iterator[str]:
    if case.proposal is None:
        return
    said = OUTCOME_WORDS[ResolutionOutcome(case.proposal.outcome)]
    receipt = f", receipt {case.proposal.receipt}" if case.proposal.receipt else ""
    at = clock(case.proposal.proposed_at, now=now)
    by = case.proposal.proposed_by.get_username()
    yield f"{by} proposed at {at}: {said}{receipt}. “{case.proposal.reason}”"


def _of_float(standing: Standing | None, now: datetime) -> Iterator[str]:
    code = standing.shortcode if standing else None
    if standing and code and code.utility_balance_at:
        yield f"Float {float_words(standing)}, read {clock(code.utility_balance_at, now=now)}."
