"""Two different people, with the M-PESA statement in hand, settle what no machine can (rule 6)."""

from __future__ import annotations

import re
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import Q, QuerySet

from disbursements.contradictions import spoke_of_success
from disbursements.models import (
    MONEY_MOVED,
    SETTLEABLE,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from disbursements.moves import locked_attempt, note_on_attempt
from disbursements.outcomes import mark_paid
from disbursements.questioned import questioned
from disbursements.receipts import (
    given_elsewhere,
    is_held_elsewhere,
    is_proven,
    is_struck,
    not_its_own,
    struck,
)
from disbursements.sending import fail
from disbursements.verdicts import Proof, Verdict
from loans.audit import EventDraft, move_loan, note_change
from loans.models import ApprovalState, HoldReason, LoanStatus, LoanTracking
from loans.review import OF_A_SUCCESS, SETTLED, was_called
from mpesa.models import MpesaCallback

RECEIPT = re.compile(r"[A-Z0-9]{10}")
RECORD_BY_HAND = (
    "The attempt stays closed as failed, so it is not recorded by itself: record the payment in "
    "Mifos X by hand, with its receipt."
)


class ResolutionRefused(Exception):
    """The outcome cannot be recorded so. The text says why, for staff."""


def propose(
    attempt_pk: int,
    *,
    outcome: ResolutionOutcome,
    receipt: str,
    reason: str,
    by: User,
    now: datetime,
) -> ReviewResolution:
    """Keep what the first person says, with the evidence. Nothing moves yet."""
    with locked_attempt(attempt_pk) as (attempt, loan):
        refusal = resolution_refusal(attempt, outcome, receipt, reason)
        refusal = refusal or _not_in_doubt(attempt, loan, outcome)
        if refusal:
            raise ResolutionRefused(refusal)
        if attempt.resolutions.filter(confirmed_at=None, withdrawn_at=None).exists():
            raise ResolutionRefused("A proposal is open already: confirm or withdraw it first.")
        note_change(
            loan,
            actor=by.get_username(),
            reason=f"Proposes '{outcome.label}': {reason}",
            at=now,
            details={
                "disbursement_request_id": attempt.pk,
                "outcome": outcome.value,
                "receipt": receipt,
            },
        )
        return ReviewResolution.objects.create(
            disbursement_request=attempt,
            outcome=outcome,
            receipt=receipt,
            reason=reason[:500],
            proposed_by=by,
            proposed_at=now,
        )


def confirm(resolution_pk: int, *, by: User, now: datetime) -> None:
    """A second person confirms; only now does the attempt move. Raises ResolutionRefused."""
    resolution = ReviewResolution.objects.select_related("proposed_by").get(pk=resolution_pk)
    if resolution.proposed_by_id == by.pk:
        raise ResolutionRefused("You proposed this outcome; another person must confirm it.")
    try:
        _confirm(resolution, by=by, now=now)
    except IntegrityError as exc:
        if not resolution.receipt:
            raise
        # Of two loans settled with one receipt at the same instant, the database lets one have it.
        raise ResolutionRefused(_taken(resolution.receipt)) from exc


def _confirm(resolution: ReviewResolution, *, by: User, now: datetime) -> None:
    with locked_attempt(resolution.disbursement_request_id) as (attempt, loan):
        outcome = ResolutionOutcome(resolution.outcome)
        refusal = resolution_refusal(attempt, outcome, resolution.receipt, resolution.reason)
        refusal = refusal or _not_in_doubt(attempt, loan, outcome)
        if refusal:
            raise ResolutionRefused(refusal)
        if outcome == ResolutionOutcome.NOT_PAID and _letters(attempt, applied_at=None).exists():
            raise ResolutionRefused(
                "A message of M-Pesa about this payment came and is not read yet: wait for the "
                "next pass, and look again."
            )
        if _is_outdated(resolution, attempt, loan):
            raise ResolutionRefused(
                "M-Pesa has spoken of a success since this was proposed, or a message came from a "
                "strange address: withdraw it, look at the new evidence, and propose again."
            )
        _close(resolution, confirmed_by=by, confirmed_at=now)
        actors = f"{resolution.proposed_by.get_username()} and {by.get_username()}"
        # Before anything that asks what is in doubt still: this ends the doubt of this attempt.
        note_change(
            loan,
            actor=actors,
            reason=f"Confirmed: {outcome.label.lower()}",
            at=now,
            details={"disbursement_request_id": attempt.pk, SETTLED: resolution.pk},
        )
        _settle(attempt, loan, resolution, actors=actors, now=now)


def withdraw(resolution_pk: int, *, by: User, now: datetime) -> None:
    """Take a proposal back; anybody who may propose may do so. Raises ResolutionRefused."""
    resolution = ReviewResolution.objects.get(pk=resolution_pk)
    with locked_attempt(resolution.disbursement_request_id) as (attempt, loan):
        _close(resolution, withdrawn_at=now)
        note_change(
            loan,
            actor=by.get_username(),
            reason="The proposed outcome was withdrawn",
            at=now,
            details={"disbursement_request_id": attempt.pk},
        )


def _is_outdated(
    resolution: ReviewResolution, attempt: DisbursementRequest, loan: LoanTracking
) -> bool:
    """Did the first person say "not paid" without knowing what M-Pesa said later, in a letter, on
    its statement, or in Mifos X's book?"""
    if resolution.outcome == ResolutionOutcome.PAID:
        return False
    # Not when it came: it may have waited to be read.
    since = _letters(attempt, applied_at__gt=resolution.proposed_at)
    if since.filter(is_quarantined=True).exists():
        return True  # it counts as no word of M-Pesa's, and may be one: look at it first
    if not spoke_of_success(attempt, loan):
        return False
    if since.exists():
        return True
    mine = loan.events.filter(details__disbursement_request_id=attempt.pk)
    proposals = mine.filter(details__has_key="outcome").order_by("-id")
    proposed = proposals.values_list("id", flat=True).first() or 0
    success = Q(details__review__in=[each.value for each in OF_A_SUCCESS])
    later = loan.events.filter(success | Q(details__has_key="says_paid"), id__gt=proposed)
    return later.exists()


def is_recorded_by_hand(resolution: ReviewResolution) -> bool:
    """Was a failed attempt paid after all? Then no pass tells Mifos X of it."""
    is_failed = resolution.disbursement_request.status == AttemptStatus.FAILED
    return resolution.outcome == ResolutionOutcome.PAID and is_failed


def _letters(attempt: DisbursementRequest, **filters: object) -> QuerySet[MpesaCallback]:
    return MpesaCallback.objects.filter(
        request__originator_conversation_id=attempt.originator_conversation_id, **filters
    )


def _close(resolution: ReviewResolution, **columns: object) -> None:
    """Close an open proposal, once. Its loan is locked first, by everybody who does this."""
    open_ones = ReviewResolution.objects.filter(
        pk=resolution.pk, confirmed_at=None, withdrawn_at=None
    )
    if open_ones.update(**columns) != 1:
        raise ResolutionRefused("This proposal was confirmed or withdrawn before.")


def resolution_refusal(
    attempt: DisbursementRequest, outcome: ResolutionOutcome, receipt: str, reason: str
) -> str:
    """Return why this outcome cannot be recorded for this attempt, or the empty text."""
    if not reason.strip():
        return "A reason is required: say what the M-PESA statement shows."
    if attempt.status == AttemptStatus.SUBMITTING:
        return "The payment is being sent at this moment; wait until it is unknown or accepted."
    if outcome == ResolutionOutcome.PAID:
        return _paid_refusal(attempt, receipt)
    if receipt:
        return "A receipt proves a payment: say 'paid', or leave the receipt out."
    return _unpaid_refusal(attempt) if attempt.status in MONEY_MOVED else ""


def _not_in_doubt(
    attempt: DisbursementRequest, loan: LoanTracking, outcome: ResolutionOutcome
) -> str:
    """A closed attempt is settled only to end the review that speaks of it, and an accepted one is
    called unpaid only once a person was called to it: its money may be on the way."""
    is_early = attempt.status == AttemptStatus.ACCEPTED and not loan.review_reason
    if is_early and outcome == ResolutionOutcome.NOT_PAID:
        return "M-Pesa accepted it and has not been silent long enough: its result may still come."
    doubted = questioned(loan)
    if attempt.status in SETTLEABLE or attempt.pk in doubted:
        return ""
    if attempt.status == AttemptStatus.FAILED and outcome == ResolutionOutcome.PAID:
        return (
            "The attempt is closed as failed and stays so. Record the payment in Mifos X by hand; "
            "the loan then leaves its waiting list and can never be paid again."
        )
    live = loan.attempts.exclude(pk=attempt.pk).exclude(status=AttemptStatus.FAILED).first()
    if attempt.status == AttemptStatus.FAILED and live is not None:
        return f"Nobody asks about this attempt. Settle attempt {live.attempt_no}, or none."
    if not doubted or None in doubted:
        return ""
    known = [pk for pk in doubted if pk is not None]
    numbers = loan.attempts.filter(pk__in=known).values_list("attempt_no", flat=True)
    return f"The review speaks of attempt {', '.join(map(str, numbers))}: settle that one."


def _paid_refusal(attempt: DisbursementRequest, receipt: str) -> str:
    if not RECEIPT.fullmatch(receipt):
        return "A receipt of ten capital letters and digits is required, such as SGH7K2M9QD."
    if attempt.status in MONEY_MOVED and receipt == attempt.transaction_receipt:
        return ""  # proven, whatever people said of another loan
    if attempt.status in MONEY_MOVED and _unpaid_refusal(attempt):
        return f"It is paid already, with receipt {attempt.transaction_receipt}."
    is_taken = is_held_elsewhere(attempt, receipt) or given_elsewhere(attempt, receipt)
    return _taken(receipt) if is_taken else ""


def _unpaid_refusal(attempt: DisbursementRequest) -> str:
    """What is paid stays so, and by its receipt, but for one that people gave and M-Pesa proved
    for another."""
    receipt = attempt.transaction_receipt
    if is_struck(receipt):
        return ""  # it was said before; people may be called to its loan for something else since
    is_its_own = is_proven(attempt) or not was_called(attempt.loan_tracking, not_its_own(receipt))
    return f"M-Pesa proved it paid (receipt {receipt})." if is_its_own else ""


def _taken(receipt: str) -> str:
    return (
        f"Receipt {receipt} belongs to another loan. Was it given to that one by mistake, then two "
        "people say there first that it was not paid."
    )


def _settle(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    resolution: ReviewResolution,
    *,
    actors: str,
    now: datetime,
) -> None:
    reason = f"Settled by {actors}: {resolution.reason}"
    if attempt.status not in SETTLEABLE:
        _review_done(loan, actors=actors, reason=reason, now=now)
        if attempt.status in MONEY_MOVED:
            _correct_receipt(attempt, loan, resolution, actors, now=now)
        if resolution.outcome == ResolutionOutcome.PAID and attempt.status == AttemptStatus.FAILED:
            _never_again(loan, f"{reason} (receipt {resolution.receipt})", actors, now=now)
    elif resolution.outcome == ResolutionOutcome.PAID:
        _review_done(loan, actors=actors, reason=reason, now=now)
        verdict = Verdict(proof=Proof.PAID, reason=reason, receipt=resolution.receipt)
        mark_paid(attempt, loan, verdict, actor=actors, now=now)
    else:
        evidence: dict[str, object] = {"proof": "two people", "resolution": resolution.pk}
        fail(attempt, loan, reason=reason, evidence=evidence, now=now, actor=actors)


def _correct_receipt(
    attempt: DisbursementRequest,
    loan: LoanTracking,
    resolution: ReviewResolution,
    actors: str,
    *,
    now: datetime,
) -> None:
    """Free a receipt for the loan that it paid. Does Mifos X show this loan as disbursed with it,
    then a person corrects that, or undoes it if this one was not paid, and only a new cycle, which
    another approves, pays it."""
    if resolution.receipt == attempt.transaction_receipt:
        return
    if resolution.outcome == ResolutionOutcome.PAID:
        receipt, then = resolution.receipt, "Correct it in Mifos X: this one was paid by its own"
    elif is_struck(attempt.transaction_receipt):
        return
    else:
        receipt = struck(attempt)
        then = "Undo the disbursement in Mifos X, if it is there; the loan is paid in a new cycle"
    note_on_attempt(attempt, transaction_receipt=receipt)
    note_change(
        loan,
        actor=actors,
        reason=f"Its receipt is another loan's. {then}",
        at=now,
        details={"disbursement_request_id": attempt.pk},
        mpesa_receipt_number=receipt,
    )


def _never_again(loan: LoanTracking, reason: str, actors: str, *, now: datetime) -> None:
    """A failed attempt was paid after all: a person records it in Mifos X. Should the loan still
    wait there, or a later attempt of it fail, an approval is needed: never again by itself."""
    loan.approvals.exclude(state=ApprovalState.DECLINED).update(state=ApprovalState.EXPIRED)
    if loan.status not in {LoanStatus.FAILED, LoanStatus.PENDING}:
        note_change(loan, actor=actors, reason=reason, at=now, approval_cause=HoldReason.REOPENED)
        return
    move_loan(
        loan,
        LoanStatus.CANCELLED,
        draft=EventDraft(
            from_status=loan.status,
            to_status=LoanStatus.CANCELLED,
            actor=actors,
            reason=reason,
            at=now,
        ),
        hold_reason="",
        error_message="Paid after all; record it in Mifos X by hand",
        next_attempt_at=None,
        approval_cause=HoldReason.REOPENED,
    )


def _review_done(loan: LoanTracking, *, actors: str, reason: str, now: datetime) -> None:
    if loan.review_reason in OF_A_SUCCESS and questioned(loan):
        note_change(loan, actor=actors, reason=reason, at=now)  # another attempt is in doubt still
    elif loan.review_reason:
        note_change(
            loan,
            actor=actors,
            reason=reason,
            at=now,
            review_reason="",
            review_since=None,
            error_message="",
        )
