"""Writes a past of paid and recorded loans into the tables: `python -m bench.history N`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import django

FIRST_LOAN_ID = 10_000_000
AT_ONCE = 2000
YEAR = timedelta(days=365)
STEPS = ("", "submitting", "accepted", "paid", "completed")


def write_year(loans: int) -> None:
    """Spread so many finished loans evenly over the last year, each with all of its rows."""
    from django.db.models import F

    from disbursements.models import DisbursementRequest
    from loans.models import LoanTracking

    for start in range(0, loans, AT_ONCE):
        _write(range(start, min(start + AT_ONCE, loans)), loans)
    LoanTracking.objects.exclude(disbursed_at=None).update(created_at=F("disbursed_at"))
    DisbursementRequest.objects.exclude(paid_at=None).update(created_at=F("paid_at"))


def _write(numbers: range, loans: int) -> None:
    from django.utils import timezone

    from disbursements.models import DisbursementRequest
    from loans.models import LoanEvent, LoanTracking
    from mpesa.models import CallbackKind, MpesaCallback, MpesaRequest, RequestKind
    from partners.models import Partner

    partner = Partner.objects.get()
    now = timezone.now()
    days = [now - YEAR * (1 - number / loans) - timedelta(days=2) for number in numbers]
    rows = LoanTracking.objects.bulk_create(
        LoanTracking(partner=partner, **_loan(number, at))
        for number, at in zip(numbers, days, strict=True)
    )
    attempts = DisbursementRequest.objects.bulk_create(
        DisbursementRequest(loan_tracking=row, partner=partner, **_attempt(row, partner))
        for row in rows
    )
    LoanEvent.objects.bulk_create(
        LoanEvent(loan_tracking=row, from_status=before, to_status=after, actor="M-Pesa", at=at)
        for row, at in zip(rows, days, strict=True)
        for before, after in _moves()
    )
    requests = MpesaRequest.objects.bulk_create(
        MpesaRequest(
            kind=RequestKind.PAYMENT,
            environment=partner.mpesa_environment,
            shortcode=partner.mpesa_shortcode,
            originator_conversation_id=attempt.originator_conversation_id,
            token_digest=attempt.mifos_external_id.rjust(64, "0"),
            sent_at=at,
            answered_at=at,
        )
        for attempt, at in zip(attempts, days, strict=True)
    )
    MpesaCallback.objects.bulk_create(
        MpesaCallback(
            kind=CallbackKind.PAYMENT_RESULT,
            request=request,
            body='{"Result": {"ResultCode": 0}}' * 20,
            received_at=request.sent_at,
            applied_at=request.sent_at,
        )
        for request in requests
    )


def _moves() -> Iterator[tuple[str, str]]:
    return itertools.pairwise(STEPS)


def _loan(number: int, at: datetime) -> dict[str, Any]:
    return {
        "loan_id": FIRST_LOAN_ID + number,
        "client_id": FIRST_LOAN_ID + number // 3,
        "phone_number": f"2547{FIRST_LOAN_ID * 5 + number // 3:08d}",
        "product_id": 5,
        "loan_amount": 5000,
        "net_disbursal_amount": 5000,
        "currency": "KES",
        "approved_on": at.date(),
        "status": "disbursed",
        "disbursement_status": "completed",
        "mpesa_receipt_number": f"H{number:09d}",
        "disbursed_at": at,
        "decided_at": at,
    }


def _attempt(row: Any, partner: Any) -> dict[str, Any]:
    return {
        "attempt_no": 1,
        "triggered_by": "schedule",
        "amount": row.net_disbursal_amount,
        "principal": row.loan_amount,
        "msisdn": row.phone_number,
        "mpesa_environment": partner.mpesa_environment,
        "mpesa_shortcode": partner.mpesa_shortcode,
        "originator_conversation_id": f"history-{row.loan_id}",
        "mifos_external_id": f"history-{row.loan_id}",
        "status": "completed",
        "send_count": 1,
        "transaction_receipt": row.mpesa_receipt_number,
        "paid_at": row.disbursed_at,
        "completed_at": row.disbursed_at,
    }


if __name__ == "__main__":
    django.setup()
    write_year(int(sys.argv[1]))
