"""One receipt is one payment of one shortcode: it settles one loan of all its lenders."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from disbursements.models import (
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from prepared.statements import Slot, Tuples

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
