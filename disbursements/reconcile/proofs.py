"""M-Pesa's book without a statement: the proof of each payment as our audit trail keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.receipts import is_struck, was_corrected
from disbursements.reconcile.differences import Difference, DifferenceKind
from loans.models import LoanEvent

CHUNK = 500


def unproven(paid: Sequence[DisbursementRequest]) -> Iterator[Difference]:
    """Yield the payments whose trail shows no proof, or the proof of another receipt."""
    for start in range(0, len(paid), CHUNK):
        chunk = paid[start : start + CHUNK]
        receipts = _proven_receipts(chunk)
        for attempt in chunk:
            proven = receipts.get(attempt.pk, "")
            if proven == attempt.transaction_receipt:
                continue
            if not was_corrected(attempt, proven):
                yield _unproven(attempt, proven)
            elif is_struck(attempt.transaction_receipt):
                yield _taken_back(attempt, proven)


def held_twice(paid: Sequence[DisbursementRequest]) -> Iterator[Difference]:
    """Yield the payments whose receipt another partner holds too: M-Pesa gives each out once."""
    for start in range(0, len(paid), CHUNK):
        chunk = {each.transaction_receipt: each for each in paid[start : start + CHUNK]}
        others = DisbursementRequest.objects.filter(transaction_receipt__in=list(chunk))
        for other in others.select_related("partner"):
            attempt = chunk[other.transaction_receipt]
            if (
                other.partner_id != attempt.partner_id
                and other.mpesa_environment == attempt.mpesa_environment
            ):
                said = (
                    f"Receipt {other.transaction_receipt} is held by {other.partner.slug} as well"
                )
                yield _difference(attempt, DifferenceKind.WRONG_PARTNER, said)


def _proven_receipts(chunk: Sequence[DisbursementRequest]) -> dict[int, str]:
    events = LoanEvent.objects.filter(
        disbursement_request_id__in=[each.pk for each in chunk], to_status=AttemptStatus.PAID
    )
    found = events.values_list("disbursement_request_id", "details")
    return {pk: str(details.get("receipt", "")) for pk, details in found if pk is not None}


def _unproven(attempt: DisbursementRequest, proven: str) -> Difference:
    what = f"proves receipt {proven}" if proven else "holds no proof that M-Pesa paid"
    said = f"We hold receipt {attempt.transaction_receipt}, and the audit trail {what}"
    kind = DifferenceKind.RECORDED_NOT_PAID
    return _difference(attempt, kind, said, mpesa=proven or "no proof")


def _taken_back(attempt: DisbursementRequest, proven: str) -> Difference:
    """People know: it is listed for as long as Mifos X, and our status, call it paid."""
    said = f"Two people said that it was not paid: its receipt {proven} is another loan's"
    kind = DifferenceKind.RECORDED_NOT_PAID
    return _difference(attempt, kind, said, mpesa="not paid", is_quiet=True)


def _difference(
    attempt: DisbursementRequest,
    kind: DifferenceKind,
    said: str,
    *,
    mpesa: str = "",
    is_quiet: bool = False,
) -> Difference:
    return Difference(
        kind=kind,
        said=said,
        partner=attempt.partner.slug,
        loan=attempt.loan_tracking,
        attempt_id=attempt.pk,
        amount=attempt.amount,
        receipt=attempt.transaction_receipt,
        ours=str(attempt.status),
        mpesa=mpesa or attempt.transaction_receipt,
        is_quiet=is_quiet,
    )
