"""Proves the audit trail: every digest again, no gap, and a replay that ends as the rows stand."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet

from loans.audit import EventDraft, digest_of, lock_loan
from loans.models import LoanEvent, LoanTracking

CHUNK = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is not as the trail was written. `event_id` is empty when none is to blame."""

    partner: str  # slug
    loan_id: int
    loan_tracking_id: int
    problem: str
    event_id: int | None = None
    disbursement_request_id: int | None = None


@dataclass(kw_only=True, slots=True)
class AttemptTrail:
    """What the events say of one attempt: its statuses in order, and the details of each move."""

    statuses: list[str] = field(default_factory=list)
    details: list[Mapping[str, object]] = field(default_factory=list)
    first_event_id: int = 0
    last_event_id: int = 0


@dataclass(kw_only=True, slots=True)
class Trail:
    """One loan's events, read once from the first to the last."""

    events: int = 0
    head: str = ""
    status: str = ""
    attempts: dict[int, AttemptTrail] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Verification:
    """What a check found. `heads` is a digest over all chains' heads, to be kept elsewhere."""

    loans: int = 0
    events: int = 0
    faults: list[Fault] = field(default_factory=list)
    heads: str = ""

    @property
    def is_intact(self) -> bool:
        return not self.faults


AttemptCheck = Callable[[list[LoanTracking], dict[int, Trail]], Iterable[Fault]]


def verify_loans(
    loans: QuerySet[LoanTracking], *, attempts: AttemptCheck | None = None
) -> Verification:
    """Check these loans in constant memory. `attempts` checks what lives one floor above.

    The site may go on working: a loan that seems broken is read again under its lock.
    """
    result = Verification()
    heads = hashlib.sha256()
    for chunk in _chunks(loans):
        trails = _read(chunk)
        suspects = {each.loan_tracking_id for each in _faults(chunk, trails, attempts)}
        for loan in chunk:
            if loan.pk in suspects:
                result.faults += _again(loan.pk, attempts)
            result.events += trails[loan.pk].events
            heads.update(f"{loan.pk}:{loan.audit_head}\n".encode())
        result.loans += len(chunk)
    result.heads = heads.hexdigest()
    return result


def fault_of(loan: LoanTracking, problem: str, **facts: int | None) -> Fault:
    return Fault(
        partner=loan.partner.slug,
        loan_id=loan.loan_id,
        loan_tracking_id=loan.pk,
        problem=problem,
        **facts,
    )


def _chunks(loans: QuerySet[LoanTracking]) -> Iterator[list[LoanTracking]]:
    last = 0
    ordered = loans.select_related("partner").order_by("pk")
    while chunk := list(ordered.filter(pk__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1].pk


def _again(pk: int, attempts: AttemptCheck | None) -> list[Fault]:
    with transaction.atomic():
        loan = lock_loan(pk)
        return list(_faults([loan], _read([loan]), attempts))


def _faults(
    loans: list[LoanTracking], trails: dict[int, Trail], attempts: AttemptCheck | None
) -> Iterator[Fault]:
    for loan in loans:
        trail = trails[loan.pk]
        yield from trail.faults
        yield from _end_faults(loan, trail)
    if attempts is not None:
        yield from attempts(loans, trails)


def _end_faults(loan: LoanTracking, trail: Trail) -> Iterator[Fault]:
    if trail.events == 0:
        yield fault_of(loan, "has no events at all")
    elif trail.head != loan.audit_head:
        yield fault_of(loan, "its last event is missing, or its row was changed by hand")
    if trail.events and trail.status != loan.status:
        yield fault_of(loan, f"the events end in {trail.status!r} and the row says {loan.status!r}")


def _read(loans: list[LoanTracking]) -> dict[int, Trail]:
    by_pk = {loan.pk: loan for loan in loans}
    trails = {pk: Trail() for pk in by_pk}
    events = LoanEvent.objects.filter(loan_tracking__in=list(by_pk))
    ordered = events.order_by("loan_tracking_id", "id").iterator(chunk_size=2000)
    for pk, group in itertools.groupby(ordered, key=lambda event: event.loan_tracking_id):
        for event in group:
            _follow(by_pk[pk], trails[pk], event)
    return trails


def _follow(loan: LoanTracking, trail: Trail, event: LoanEvent) -> None:
    def blame(problem: str) -> None:
        trail.faults.append(
            fault_of(
                loan,
                problem,
                event_id=event.pk,
                disbursement_request_id=event.disbursement_request_id,
            )
        )

    if event.previous_digest != trail.head:
        blame("an event before this one is missing, or was added or changed")
    if digest_of(loan, _draft_of(event), event.previous_digest) != event.digest:
        blame("this event was changed after it was written")
    before = trail.status
    if event.disbursement_request_id is not None:
        before = _follow_attempt(trail, event)
    else:
        trail.status = event.to_status
    if event.from_status != before:
        blame(f"it leaves {event.from_status!r}, and the event before ended in {before!r}")
    trail.events += 1
    trail.head = event.digest


def _follow_attempt(trail: Trail, event: LoanEvent) -> str:
    """Add the event to its attempt's trail; return the status the attempt was in before it."""
    attempt = trail.attempts.setdefault(event.disbursement_request_id or 0, AttemptTrail())
    before = attempt.statuses[-1] if attempt.statuses else ""
    attempt.statuses.append(event.to_status)
    attempt.details.append(event.details)
    attempt.first_event_id = attempt.first_event_id or event.pk
    attempt.last_event_id = event.pk
    return before


def _draft_of(event: LoanEvent) -> EventDraft:
    return EventDraft(
        from_status=event.from_status,
        to_status=event.to_status,
        actor=event.actor,
        reason=event.reason,
        at=event.at,
        details=event.details,
        disbursement_request_id=event.disbursement_request_id,
    )
