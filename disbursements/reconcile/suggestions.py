"""What a statement row without a known receipt may belong to: phone, amount, about that time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from disbursements.models import MONEY_MOVED, OPEN_STATES, DisbursementRequest
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.statement import StatementRow, names_phone
from loans.models import LoanStatus, LoanTracking
from partners.models import Partner

# M-Pesa's clock may be a little behind ours, and a queued payment may run days later.
BEFORE_SEND = timedelta(minutes=15)
AFTER_SEND = timedelta(days=3)
MAY_BE_PAID = (LoanStatus.PENDING, LoanStatus.FAILED)
UNPAID = (*MAY_BE_PAID, LoanStatus.CANCELLED)


class Suggestions:
    """Candidates for rows nobody knows. A payment explains one row; a second one is a double.

    `taken` holds the attempts that explain a row so far.
    """

    def __init__(
        self,
        partners: Sequence[Partner],
        *,
        shortcode: str,
        rows: Sequence[StatementRow],
        absent: set[int],
        slug: str,
    ) -> None:
        self.taken: set[int] = set()
        self._absent = absent
        self._slug = slug
        self._attempts: defaultdict[Decimal, list[DisbursementRequest]] = defaultdict(list)
        self._loans: defaultdict[Decimal, list[LoanTracking]] = defaultdict(list)
        if rows:
            self._find(partners, shortcode, rows)

    def explain(self, row: StatementRow) -> Iterator[Difference]:
        """Yield the difference that this row is, with the best candidate there is. It was perhaps
        not meant: a waiting loan that the row fits as well is told of, too."""
        found = list(self._candidates(row))
        free = [each for each in found if each.pk not in self.taken]
        still_open = [each for each in free if each.status in OPEN_STATES]
        other_receipt = [each for each in free if each.pk in self._absent]
        paid = [each for each in found if each.status in MONEY_MOVED or each.pk in self.taken]
        best = next(iter([*still_open, *other_receipt, *paid, *free]), None)
        if best is None:
            yield from self._unknown(row)
            return
        if still_open:
            yield self._take(best, row, DifferenceKind.MISSING_RESULT, "has no result")
        elif other_receipt:
            holds = f"holds receipt {best.transaction_receipt} instead"
            yield self._take(best, row, DifferenceKind.RECEIPT_DIFFERS, holds)
        elif paid:
            was_paid = f"was paid with receipt {best.transaction_receipt or 'unknown'}"
            yield self._take(best, row, DifferenceKind.DUPLICATE_PAYMENT, was_paid)
        else:
            yield self._take(best, row, DifferenceKind.FAILED_BUT_PAID, "is closed as failed")
        yield from self._waiting_too(row, best)

    def _find(
        self, partners: Sequence[Partner], shortcode: str, rows: Sequence[StatementRow]
    ) -> None:
        times = [row.at for row in rows]
        attempts = DisbursementRequest.objects.filter(
            partner__in=partners,
            mpesa_shortcode=shortcode,
            created_at__gte=min(times) - AFTER_SEND,
            created_at__lte=max(times) + BEFORE_SEND,
        )
        amounts = {row.amount for row in rows}
        for attempt in attempts.select_related("loan_tracking", "partner").order_by("id"):
            if attempt.amount in amounts:
                self._attempts[attempt.amount].append(attempt)
        loans = LoanTracking.objects.filter(partner__in=partners, status__in=UNPAID)
        for loan in loans.select_related("partner").order_by("id").iterator(chunk_size=2000):
            if loan.net_disbursal_amount in amounts:
                self._loans[loan.net_disbursal_amount].append(loan)

    def _candidates(self, row: StatementRow) -> Iterator[DisbursementRequest]:
        for attempt in self._attempts[row.amount]:
            is_about_then = -BEFORE_SEND <= row.at - attempt.created_at <= AFTER_SEND
            if is_about_then and names_phone(row.party, attempt.msisdn):
                yield attempt

    def _take(
        self, attempt: DisbursementRequest, row: StatementRow, kind: DifferenceKind, state: str
    ) -> Difference:
        self.taken.add(attempt.pk)
        return _difference(
            row,
            kind,
            f"The statement shows receipt {row.receipt} with the phone and amount of loan "
            f"{attempt.loan_tracking.loan_id}, whose attempt {attempt.attempt_no} {state}",
            partner=attempt.partner.slug,
            loan=attempt.loan_tracking,
            attempt_id=attempt.pk,
            ours=str(attempt.status),
        )

    def _unknown(self, row: StatementRow) -> Iterator[Difference]:
        fitting = list(self._fitting(row))
        waiting = [loan for loan in fitting if loan.status in MAY_BE_PAID]
        if fitting:
            yield from (_of_loan(row, loan) for loan in waiting or fitting[:1])
        else:
            said = f"The statement shows receipt {row.receipt}, and no loan of ours fits it"
            kind = DifferenceKind.RECEIPT_UNKNOWN_TO_US
            yield _difference(row, kind, said, partner=self._slug)

    def _waiting_too(self, row: StatementRow, told: DisbursementRequest) -> Iterator[Difference]:
        for loan in self._fitting(row):
            if loan.status in MAY_BE_PAID and loan.pk != told.loan_tracking_id:
                yield _of_loan(row, loan)

    def _fitting(self, row: StatementRow) -> Iterator[LoanTracking]:
        for loan in self._loans[row.amount]:
            if _may_be_for(loan, row) and names_phone(row.party, loan.phone_number):
                yield loan


def _of_loan(row: StatementRow, loan: LoanTracking) -> Difference:
    said = (
        f"The statement shows receipt {row.receipt} with the phone and amount of loan "
        f"{loan.loan_id}, which is {loan.get_status_display().lower()} with us"
    )
    return _difference(
        row,
        DifferenceKind.RECEIPT_UNKNOWN_TO_US,
        said,
        partner=loan.partner.slug,
        loan=loan,
        ours=str(loan.status),
        # A loan that left the waiting list is not paid by us any more.
        is_quiet=loan.status == LoanStatus.CANCELLED,
    )


def _may_be_for(loan: LoanTracking, row: StatementRow) -> bool:
    """A borrower comes again for the same amount: what was paid before approval is not this."""
    approved = loan.approved_on or timezone.localdate(loan.created_at)
    return timezone.localdate(row.at) >= approved


def _difference(row: StatementRow, kind: DifferenceKind, said: str, **facts: Any) -> Difference:
    return Difference(
        kind=kind,
        said=said,
        amount=row.amount,
        receipt=row.receipt,
        mpesa=f"paid, {row.receipt}",
        line=row.line,
        **facts,
    )
