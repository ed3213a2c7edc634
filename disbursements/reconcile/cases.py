"""Which loans of a partner are compared with Mifos X, and what we hold of each."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q

from disbursements.models import MONEY_MOVED, OPEN_STATES, AttemptStatus, DisbursementRequest
from disbursements.reconcile.window import MOVED_AT, Window
from loans.models import LoanStatus, LoanTracking
from mifos.client import MifosClient
from partners.models import Partner
from partners.overlap import leave_database

CHUNK = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One loan of Mifos X with all its cycles and all their attempts, oldest first."""

    partner: Partner
    loan_id: int
    cycles: tuple[LoanTracking, ...]
    attempts: tuple[DisbursementRequest, ...]

    @property
    def loan(self) -> LoanTracking:
        """The cycle that counts now."""
        return self.cycles[-1]

    @property
    def moved(self) -> list[DisbursementRequest]:
        return [each for each in self.attempts if each.status in MONEY_MOVED]

    @property
    def unmoved(self) -> list[DisbursementRequest]:
        return [each for each in self.attempts if each.status not in MONEY_MOVED]

    @property
    def is_live(self) -> bool:
        """Was money sent, or may it have been, in the cycle that counts now?"""
        return any(
            each.loan_tracking_id == self.loan.pk and each.status != AttemptStatus.FAILED
            for each in self.attempts
        )

    @property
    def stand(self) -> list[tuple[int, str]]:
        """How far each cycle and attempt has come: the same while no pass is at work on them."""
        cycles = [(each.pk, each.status) for each in self.cycles]
        return cycles + [(each.pk, each.status) for each in self.attempts]

    def is_superseded(self, attempt: DisbursementRequest) -> bool:
        """A later cycle stands for this loan: that its disbursement was undone is known."""
        return attempt.loan_tracking_id != self.loan.pk


def paid_in(window: Window, partners: Iterable[Partner]) -> list[DisbursementRequest]:
    """Return our book of these days: every payment that M-Pesa proved."""
    paid = DisbursementRequest.objects.filter(
        partner__in=list(partners), status__in=MONEY_MOVED
    ).annotate(moved_at=MOVED_AT)
    in_window = paid.filter(moved_at__gte=window.start, moved_at__lt=window.end)
    return list(in_window.select_related("loan_tracking", "partner").order_by("moved_at", "id"))


def open_attempts(partners: Iterable[Partner]) -> list[DisbursementRequest]:
    """Return the payments that have no verdict yet, oldest first."""
    return list(
        DisbursementRequest.objects.filter(partner__in=list(partners), status__in=OPEN_STATES)
        .select_related("loan_tracking", "partner")
        .order_by("first_sent_at", "id")
    )


def cases_of(partner: Partner, window: Window, *, waiting: frozenset[int]) -> Iterator[list[Case]]:
    """Yield, in chunks, what has to be read in Mifos X. `waiting` is its list of waiting loans."""
    loan_ids = iter(sorted(_with_payments(partner, window) | _elsewhere(partner, window, waiting)))
    while chunk := list(itertools.islice(loan_ids, CHUNK)):
        yield _cases(partner, chunk)


def waiting_list(mifos: MifosClient) -> frozenset[int]:
    """Return the ids of the loans that wait for disbursal in Mifos X. Raises MifosError."""
    leave_database()
    return frozenset(loan.loan_id for page in mifos.approved_loans() for loan in page)


def read_again(case: Case) -> Case:
    """Return the case as our rows stand now."""
    [now] = _cases(case.partner, [case.loan_id])
    return now


def _with_payments(partner: Partner, window: Window) -> set[int]:
    in_window = Q(moved_at__gte=window.start, moved_at__lt=window.end, status__in=MONEY_MOVED)
    unfinished = Q(status__in=[*OPEN_STATES, AttemptStatus.PAID])
    attempts = DisbursementRequest.objects.filter(partner=partner).annotate(moved_at=MOVED_AT)
    found = attempts.filter(in_window | unfinished)
    return set(found.values_list("loan_tracking__loan_id", flat=True))


def _elsewhere(partner: Partner, window: Window, waiting: frozenset[int]) -> set[int]:
    """Loans whose two books cannot both be right, by Mifos X's waiting list alone."""
    loans = LoanTracking.objects.filter(partner=partner)
    unpaid = Q(status__in=[LoanStatus.PENDING, LoanStatus.FAILED])
    left = Q(status=LoanStatus.CANCELLED, updated_at__gte=window.start, updated_at__lt=window.end)
    found = {
        loan_id
        for loan_id in loans.filter(unpaid | left).values_list("loan_id", flat=True).iterator()
        if loan_id not in waiting
    }
    for chunk in _chunked(sorted(waiting)):
        undone = loans.filter(status=LoanStatus.DISBURSED, loan_id__in=chunk)
        found.update(undone.values_list("loan_id", flat=True))
    return found


def _cases(partner: Partner, loan_ids: list[int]) -> list[Case]:
    cycles: defaultdict[int, list[LoanTracking]] = defaultdict(list)
    attempts: defaultdict[int, list[DisbursementRequest]] = defaultdict(list)
    rows = LoanTracking.objects.filter(partner=partner, loan_id__in=loan_ids).order_by("cycle")
    for row in rows:
        cycles[row.loan_id].append(row)
    paid = DisbursementRequest.objects.filter(loan_tracking__in=rows.order_by()).order_by("id")
    for attempt in paid.select_related("loan_tracking", "partner"):
        attempts[attempt.loan_tracking.loan_id].append(attempt)
    return [
        Case(
            partner=partner,
            loan_id=loan_id,
            cycles=tuple(cycles[loan_id]),
            attempts=tuple(attempts[loan_id]),
        )
        for loan_id in loan_ids
    ]


def _chunked(items: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
