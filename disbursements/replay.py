"""The attempts' part of the audit trail: their events, replayed, must end where the rows stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from disbursements.models import ALLOWED_MOVES, AttemptStatus, DisbursementRequest
from disbursements.receipts import was_corrected
from loans.models import LoanTracking
from loans.verify import AttemptTrail, Fault, Trail, fault_of


def attempt_faults(loans: list[LoanTracking], trails: dict[int, Trail]) -> Iterator[Fault]:
    """Yield what does not agree between the attempts of these loans and their events."""
    rows: defaultdict[int, dict[int, DisbursementRequest]] = defaultdict(dict)
    for row in DisbursementRequest.objects.filter(loan_tracking__in=[each.pk for each in loans]):
        rows[row.loan_tracking_id][row.pk] = row
    for loan in loans:
        told = trails[loan.pk].attempts
        for pk in sorted(told.keys() | rows[loan.pk].keys()):
            for problem in _problems(rows[loan.pk].get(pk), told.get(pk)):
                yield fault_of(
                    loan,
                    f"attempt {pk}: {problem}",
                    disbursement_request_id=pk,
                    event_id=told[pk].last_event_id if pk in told else None,
                )


def _problems(row: DisbursementRequest | None, trail: AttemptTrail | None) -> Iterator[str]:
    if row is None:
        yield "it has events and no row: it was deleted"
        return
    if trail is None:
        yield "it has a row and no events"
        return
    if trail.statuses[-1] != row.status:
        yield f"the events end in {trail.statuses[-1]!r} and the row says {row.status!r}"
    yield from _impossible_moves(trail)
    yield from _changed_promises(row, trail)


def _impossible_moves(trail: AttemptTrail) -> Iterator[str]:
    for before, after, details in zip(
        trail.statuses, trail.statuses[1:], trail.details[1:], strict=False
    ):
        if before not in AttemptStatus or after not in ALLOWED_MOVES[AttemptStatus(before)]:
            yield f"the move from {before!r} to {after!r} does not exist"
        if after == AttemptStatus.FAILED and not details:
            yield "it was closed as failed without evidence"


def _changed_promises(row: DisbursementRequest, trail: AttemptTrail) -> Iterator[str]:
    promised = trail.details[0]
    for name, now in (("amount", row.amount), ("principal", row.principal)):
        if name in promised and _decimal(promised[name]) != now:
            yield f"its {name} was {promised[name]} when it was promised and is {now} now"
    known = promised.get("originator_conversation_id", row.originator_conversation_id)
    if known != row.originator_conversation_id:
        yield "its id at M-Pesa is not the one it was sent under"
    for status, details in zip(trail.statuses, trail.details, strict=True):
        receipt = details.get("receipt", row.transaction_receipt)
        if status != AttemptStatus.PAID or receipt == row.transaction_receipt:
            continue
        if not was_corrected(row, str(receipt)):
            yield f"M-Pesa proved receipt {receipt}, and the row says {row.transaction_receipt!r}"


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
