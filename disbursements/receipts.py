"""One receipt is one payment of one shortcode: it settles one loan of all its lenders."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from django.db.models import Q

from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from loans.models import LoanEvent
from prepared.statements import Slot, Tuples

PROVEN_BY = "M-Pesa"  # the actor of a move to paid that no person made
NOT_ITS_OWN = "NOT-"  # before a receipt that is another loan's: what is closed as paid keeps one
LOAN_OF_ANOTHER = "a loan of another lender"  # and no more: this lender's staff read it
# Another lender may pay from the same shortcode. By the loan's receipt, which has an index.
_with_receipt = Tuples(
    lambda: DisbursementRequest.objects.filter(
        Q(partner=Slot("partner"))
        | Q(mpesa_environment=Slot("environment"), mpesa_shortcode=Slot("shortcode")),
        loan_tracking__mpesa_receipt_number=Slot("receipt"),
        transaction_receipt=Slot("receipt"),
    ).values_list("pk")
)
# A failed attempt that was paid after all holds no receipt: what two people said of it does.
_given_by_people = Tuples(
    lambda: ReviewResolution.objects.filter(
        Q(disbursement_request__partner=Slot("partner"))
        | Q(
            disbursement_request__mpesa_environment=Slot("environment"),
            disbursement_request__mpesa_shortcode=Slot("shortcode"),
        ),
        outcome=ResolutionOutcome.PAID,
        receipt=Slot("receipt"),
        confirmed_at__isnull=False,
    ).values_list(
        "pk",
        "disbursement_request_id",
        "disbursement_request__loan_tracking_id",
        "disbursement_request__partner_id",
        "disbursement_request__loan_tracking__loan_id",
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """An attempt to which two people gave a receipt. `words` name its loan to this lender."""

    attempt_id: int
    loan_tracking_id: int
    words: str


def not_its_own(receipt: str) -> str:
    """Return the words by which people are called to the loan that they gave this receipt to."""
    return (
        f"Two people gave receipt {receipt} to this loan, and M-Pesa says that it paid "
        "another one: look whether this one was paid"
    )


def is_struck(receipt: str) -> bool:
    """Is it one that two people took back?"""
    return receipt.startswith(NOT_ITS_OWN)


def struck(attempt: DisbursementRequest) -> str:
    """Return how the receipt of this attempt is kept once it is another loan's. Several loans of
    one lender may have been given the same."""
    kept = f"{NOT_ITS_OWN}{attempt.transaction_receipt}"
    before = DisbursementRequest.objects.filter(
        partner=attempt.partner_id, transaction_receipt__startswith=kept
    )
    taken = set(before.values_list("transaction_receipt", flat=True))
    numbered = (f"{kept}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([kept], numbered) if name not in taken)


def was_corrected(attempt: DisbursementRequest, proven: str) -> bool:
    """Have two people said that the receipt it was closed with, `proven`, is not its own, and so
    given it the one it holds?"""
    held = attempt.transaction_receipt
    said = ReviewResolution.objects.filter(
        disbursement_request=attempt.pk, confirmed_at__isnull=False
    )
    if is_struck(held):
        is_of_it = held.split("-")[1] in {proven, *said.values_list("receipt", flat=True)}
        return is_of_it and said.filter(outcome=ResolutionOutcome.NOT_PAID).exists()
    return said.filter(outcome=ResolutionOutcome.PAID, receipt=held).exists()


def is_proven(attempt: DisbursementRequest) -> bool:
    """Did M-Pesa itself prove the receipt it was paid with? People may have repeated it, or have
    given it to another attempt of the same loan."""
    moves = LoanEvent.objects.filter(
        loan_tracking=attempt.loan_tracking_id,
        disbursement_request_id=attempt.pk,
        to_status=AttemptStatus.PAID,
        actor=PROVEN_BY,
    )
    return moves.exists()


def is_held_elsewhere(attempt: DisbursementRequest, receipt: str) -> bool:
    """Does another attempt of this lender, or of one that shares its shortcode, hold it? A receipt
    is one payment of the shortcode's account."""
    holders = _with_receipt.all(**_account_of(attempt), receipt=receipt)
    return any(pk != attempt.pk for (pk,) in holders)


def given_elsewhere(attempt: DisbursementRequest, receipt: str) -> list[Given]:
    """Return the attempts but this one to which two people gave this receipt, and left it."""
    given = _given_by_people.all(**_account_of(attempt), receipt=receipt)
    return [
        Given(
            attempt_id=pk,
            loan_tracking_id=loan_pk,
            words=f"loan {loan_id}" if partner == attempt.partner_id else LOAN_OF_ANOTHER,
        )
        for said, pk, loan_pk, partner, loan_id in given
        if pk != attempt.pk and not _is_taken_back(pk, receipt, since=said)
    ]


def _is_taken_back(attempt_pk: int, receipt: str, *, since: int) -> bool:
    """Have two people said since that it was not paid, or with another one?"""
    later = ReviewResolution.objects.filter(
        disbursement_request=attempt_pk, confirmed_at__isnull=False, pk__gt=since
    )
    return later.exclude(receipt=receipt).exists()


def _account_of(attempt: DisbursementRequest) -> dict[str, object]:
    return {
        "partner": attempt.partner_id,
        "environment": attempt.mpesa_environment,
        "shortcode": attempt.mpesa_shortcode,
    }
