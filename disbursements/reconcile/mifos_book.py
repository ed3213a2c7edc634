"""What Mifos X's book says of one loan, against ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.receipts import is_struck
from disbursements.reconcile.cases import Case
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.reconcile.window import paid_on
from disbursements.shown import is_ours
from loans.models import LoanStatus, ReviewReason
from loans.refresh import DISBURSED_BY_HAND, MIFOS_STATUS_WORDS
from mifos.client import Disbursal, LoanDetail

OUR_PREFIX = "loanpoll-"  # disbursements.identity.mifos_external_id


@dataclass(kw_only=True, slots=True)
class MifosFinding:
    """What one reading showed. `recorded`: the principal that each payment stands with."""

    differences: list[Difference] = field(default_factory=list)
    recorded: dict[int, Decimal] = field(default_factory=dict)  # by attempt


def compare_with_mifos(case: Case, detail: LoanDetail | None) -> MifosFinding:
    """Compare one loan. `detail` is None when Mifos X does not know it any more."""
    finding = MifosFinding()
    disbursals = detail.disbursals if detail else ()
    standing = [each for each in disbursals if not each.is_reversed]
    foreign = [each for each in standing if not _owners(case, each)]
    for attempt in case.moved:
        mine = [each for each in disbursals if is_recorded_as(attempt, each)]
        mine_standing = [each for each in mine if not each.is_reversed]
        if mine_standing:
            finding.recorded[attempt.pk] = sum((each.amount for each in mine_standing), Decimal(0))
            finding.differences += _wrongly_recorded(case, attempt, mine_standing)
        elif not case.is_superseded(attempt) and (mine or not foreign):
            finding.differences.append(_not_there(case, attempt, detail, was_there=bool(mine)))
    finding.differences += _recorded_unpaid(case, standing)
    finding.differences += [_foreign(case, each) for each in foreign]
    if detail and not standing and not case.is_live and detail.status_id in DISBURSED_BY_HAND:
        finding.differences.append(_status_alone(case, detail))
    return finding


def is_recorded_as(attempt: DisbursementRequest, disbursal: Disbursal) -> bool:
    """Is this disbursement the record of this attempt? Without a receipt, only our id tells."""
    if not attempt.transaction_receipt:
        return disbursal.external_id == attempt.mifos_external_id
    return is_ours(attempt, disbursal)


def _owners(case: Case, disbursal: Disbursal) -> list[DisbursementRequest]:
    return [each for each in case.attempts if is_recorded_as(each, disbursal)]


def _wrongly_recorded(
    case: Case, attempt: DisbursementRequest, mine: list[Disbursal]
) -> Iterator[Difference]:
    recorded = sum((each.amount for each in mine), Decimal(0))
    if recorded != attempt.principal:
        yield _difference(
            case,
            DifferenceKind.WRONG_AMOUNT_IN_MIFOS,
            f"Mifos X shows KES {recorded} disbursed, and the principal is {attempt.principal}",
            attempt,
            amount=recorded - attempt.principal,
            ours=str(attempt.principal),
            mifos=str(recorded),
        )
    for each in mine:
        if each.receipt_number != attempt.transaction_receipt:
            yield _difference(
                case,
                DifferenceKind.WRONG_RECEIPT_IN_MIFOS,
                f"Mifos X shows the receipt {each.receipt_number or '(none)'}, and M-Pesa's is "
                f"{attempt.transaction_receipt}",
                attempt,
                mifos=each.receipt_number or "none",
                is_quiet=is_struck(attempt.transaction_receipt),  # people know: to be undone
            )
        if each.date not in plausible_dates(attempt):
            yield _difference(
                case,
                DifferenceKind.WRONG_DATE_IN_MIFOS,
                f"Mifos X shows the disbursement on {each.date}, and M-Pesa paid on "
                f"{paid_on(attempt)}",
                attempt,
                ours=str(attempt.record_date or paid_on(attempt)),
                mifos=str(each.date),
            )


def plausible_dates(attempt: DisbursementRequest) -> frozenset[date]:
    """The day we told Mifos X; without one, the day M-Pesa paid or a later approval. Where M-Pesa
    did not say when, it paid on the day it was sent, or on one until we learned of it."""
    if attempt.record_date is not None:
        return frozenset({attempt.record_date})
    last = paid_on(attempt)
    first = timezone.localdate(attempt.money_moved_at) if attempt.money_moved_at else last
    span = range(max((last - first).days, 0) + 1)
    days = {last, *(first + timedelta(days=count) for count in span)}
    return frozenset(days | {max(day, attempt.approved_on or day) for day in days})


def _not_there(
    case: Case, attempt: DisbursementRequest, detail: LoanDetail | None, *, was_there: bool
) -> Difference:
    shown = _shown(detail)
    if was_there or attempt.status == AttemptStatus.COMPLETED:
        return _difference(
            case,
            DifferenceKind.UNDONE_IN_MIFOS,
            f"M-Pesa paid it (receipt {attempt.transaction_receipt}) and Mifos X recorded it; now "
            f"Mifos X shows: {shown}",
            attempt,
            mifos=shown,
        )
    waits = "; the record waits for a checker" if attempt.mifos_command_id is not None else ""
    return _difference(
        case,
        DifferenceKind.PAID_NOT_RECORDED,
        f"M-Pesa paid it (receipt {attempt.transaction_receipt}); Mifos X shows: {shown}{waits}",
        attempt,
        mifos=f"{shown}{waits}",
    )


def _recorded_unpaid(case: Case, standing: list[Disbursal]) -> Iterator[Difference]:
    for attempt in case.unmoved:
        for each in standing:
            if is_recorded_as(attempt, each):
                yield _difference(
                    case,
                    DifferenceKind.RECORDED_NOT_PAID,
                    f"Mifos X shows it disbursed under our id, and attempt {attempt.attempt_no} "
                    f"is {attempt.status}",
                    attempt,
                    mifos=f"disbursed, {each.receipt_number or 'no receipt'}",
                )


def _foreign(case: Case, disbursal: Disbursal) -> Difference:
    """A standing disbursement that none of this loan's attempts made."""
    if disbursal.external_id.startswith(OUR_PREFIX):
        return _with_our_prefix(case, disbursal)
    receipt = disbursal.receipt_number or "no receipt"
    shared: dict[str, Any] = {"amount": disbursal.amount, "mifos": f"disbursed, {receipt}"}
    if not case.is_live:
        said = f"Disbursed in Mifos X by hand on {disbursal.date} ({receipt})"
        return _difference(case, DifferenceKind.DISBURSED_BY_HAND, said, is_quiet=True, **shared)
    return _difference(
        case,
        DifferenceKind.DISBURSED_BY_HAND,
        f"Mifos X transaction {disbursal.transaction_id} ({receipt}) is not ours, and we have a "
        "payment of our own: possible double payment",
        _live_attempt(case),
        alarm=ReviewReason.DOUBLE_PAYMENT,
        **shared,
    )


def _with_our_prefix(case: Case, disbursal: Disbursal) -> Difference:
    owner = (
        DisbursementRequest.objects.filter(mifos_external_id=disbursal.external_id)
        .select_related("loan_tracking", "partner")
        .first()
    )
    shared: dict[str, Any] = {
        "amount": disbursal.amount,
        "mifos": f"disbursed, {disbursal.receipt_number or 'no receipt'}",
    }
    if owner is not None and owner.partner_id != case.partner.pk:
        said = (
            f"Mifos X transaction {disbursal.transaction_id} carries the id of a payment of "
            f"partner {owner.partner.slug}, loan {owner.loan_tracking.loan_id}"
        )
        return _difference(case, DifferenceKind.WRONG_PARTNER, said, **shared)
    whose = f"belongs to loan {owner.loan_tracking.loan_id}" if owner else "is not in our book"
    said = (
        f"Mifos X transaction {disbursal.transaction_id} carries an id of Loan Poll's that {whose}"
    )
    alarm = ReviewReason.DOUBLE_PAYMENT if case.is_live else None
    return _difference(case, DifferenceKind.ORPHAN_ROW, said, alarm=alarm, **shared)


def _status_alone(case: Case, detail: LoanDetail) -> Difference:
    return _difference(
        case,
        DifferenceKind.DISBURSED_BY_HAND,
        f"Mifos X: {_shown(detail)}, without a disbursement we can read",
        amount=detail.principal,
        mifos=_shown(detail),
        is_quiet=True,
    )


def _live_attempt(case: Case) -> DisbursementRequest | None:
    mine = [each for each in case.attempts if not case.is_superseded(each)]
    return mine[-1] if mine else None


def _shown(detail: LoanDetail | None) -> str:
    if detail is None:
        return "the loan is not there"
    if detail.waiting_for_disbursal:
        return "approved, waiting"
    return MIFOS_STATUS_WORDS.get(detail.status_id, f"status {detail.status_id}")


def _difference(
    case: Case,
    kind: DifferenceKind,
    said: str,
    attempt: DisbursementRequest | None = None,
    **facts: Any,
) -> Difference:
    loan = attempt.loan_tracking if attempt else case.loan
    defaults: dict[str, Any] = {
        "amount": attempt.amount if attempt else loan.net_disbursal_amount,
        "receipt": attempt.transaction_receipt if attempt else "",
        "ours": str(attempt.status if attempt else LoanStatus(loan.status)),
        "mpesa": (attempt.transaction_receipt or "no verdict") if attempt else "",
    }
    return Difference(
        kind=kind,
        said=said,
        partner=case.partner.slug,
        loan=loan,
        attempt_id=attempt.pk if attempt else None,
        **{**defaults, **facts},
    )
