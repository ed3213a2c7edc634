"""Makes rows for tests: partner, loan, attempt, event. Each keeps the tables' promises."""

from __future__ import annotations

import itertools
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest, TriggeredBy
from loans.models import LoanEvent, LoanStatus, LoanTracking
from mpesa.models import MpesaEnvironment
from partners.models import LoanProductAutoDisbursalConfig, Partner

Row = TypeVar("Row", bound=Model)

_numbers = itertools.count(1)
PAID = {AttemptStatus.PAID, AttemptStatus.COMPLETED}


def next_number() -> int:
    """Return a number no other row of this run has."""
    return next(_numbers)


def make_receipt() -> str:
    """Return a receipt that looks like M-Pesa's."""
    return f"SGH{next_number():07d}"


def make_partner(**columns: Any) -> Partner:
    """Return a partner that is set up, was just polled, and pays in the sandbox."""
    number = next_number()
    now = timezone.now()
    defaults = {
        "slug": f"partner-{number}",
        "name": f"Partner {number}",
        "is_mifos_configured": True,
        "mifos_auto_disbursement_enabled": True,
        "mifos_host_url": f"https://mifos-{number}.example.co.ke",
        "mifos_tenant_id": "default",
        "mifos_username": "loanpoll",
        "mifos_password": "a-mifos-password",
        "mifos_payment_type_id": 1,
        "is_mpesa_configured": True,
        "mpesa_environment": MpesaEnvironment.SANDBOX,
        "mpesa_shortcode": "600000",
        "mpesa_initiator_name": "testapi",
        "mpesa_consumer_key": "a-consumer-key",
        "mpesa_consumer_secret": "a-consumer-secret",
        "mpesa_security_credential": "a-credential",
        "last_polled_at": now,
        "last_poll_succeeded_at": now,
    }
    return Partner.objects.create(**{**defaults, **columns})


def make_product(partner: Partner, **columns: Any) -> LoanProductAutoDisbursalConfig:
    """Return an enabled product rule."""
    defaults = {"product_id": 1, "product_name": "Biashara loan", "enabled": True}
    return LoanProductAutoDisbursalConfig.objects.create(partner=partner, **{**defaults, **columns})


def make_loan(partner: Partner | None = None, **columns: Any) -> LoanTracking:
    """Return a pending loan; a disbursed one gets its receipt. `created_at` may be given."""
    number = next_number()
    status = columns.get("status", LoanStatus.PENDING)
    defaults: dict[str, Any] = {
        "loan_id": 10_000 + number,
        "account_number": f"{10_000 + number:09d}",
        "client_id": number,
        "client_name": f"Client {number}",
        "phone_number": f"2547{number:08d}",
        "product_id": 1,
        "product_name": "Biashara loan",
        "loan_amount": Decimal(12_500),
        "net_disbursal_amount": columns.get("loan_amount", Decimal(12_500)),
        "currency": "KES",
        "approved_on": timezone.localdate(),
        "expected_disbursement_date": timezone.localdate(),
    }
    if status == LoanStatus.DISBURSED:
        defaults |= {"mpesa_receipt_number": make_receipt(), "disbursed_at": timezone.now()}
    if columns.get("review_reason"):
        defaults["review_since"] = timezone.now()
    times = _times(columns)
    loan = LoanTracking.objects.create(partner=partner or make_partner(), **{**defaults, **columns})
    return _set_times(loan, times)


def make_attempt(loan: LoanTracking, **columns: Any) -> DisbursementRequest:
    """Return an attempt of the loan, by default accepted by M-Pesa; a paid one gets its receipt."""
    number = next_number()
    now = timezone.now()
    status = columns.setdefault("status", AttemptStatus.ACCEPTED)
    defaults: dict[str, Any] = {
        "partner": loan.partner,
        "attempt_no": loan.attempts.count() + 1,
        "triggered_by": TriggeredBy.SCHEDULE,
        "amount": loan.net_disbursal_amount or loan.loan_amount,
        "principal": loan.loan_amount,
        "msisdn": loan.phone_number,
        "mpesa_environment": loan.partner.mpesa_environment,
        "mpesa_shortcode": loan.partner.mpesa_shortcode,
        "originator_conversation_id": f"LP-{sha256(str(number).encode()).hexdigest()[:32]}",
        "mifos_external_id": f"loanpoll-{number}",
        "conversation_id": f"AG_20261123_{number:020d}",
        "send_count": 1,
        "first_sent_at": now,
        "last_sent_at": now,
    }
    if status in PAID:
        receipt = loan.mpesa_receipt_number or make_receipt()
        defaults |= {"transaction_receipt": receipt, "result_code": "0", "paid_at": now}
    times = _times(columns)
    attempt = DisbursementRequest.objects.create(loan_tracking=loan, **{**defaults, **columns})
    return _set_times(attempt, times)


def make_event(loan: LoanTracking, **columns: Any) -> LoanEvent:
    """Return an event of the loan. Its digest is no real one: loans.audit writes those."""
    defaults: dict[str, Any] = {
        "from_status": "",
        "to_status": loan.status,
        "actor": "system",
        "reason": "",
        "at": timezone.now(),
        "digest": sha256(str(next_number()).encode()).hexdigest(),
    }
    attempt = columns.pop("attempt", None)
    if attempt is not None:
        defaults["disbursement_request_id"] = attempt.pk
    return LoanEvent.objects.create(loan_tracking=loan, **{**defaults, **columns})


def _times(columns: dict[str, Any]) -> dict[str, datetime]:
    """Take out the times that Django sets by itself."""
    return {name: columns.pop(name) for name in ("created_at", "updated_at") if name in columns}


def _set_times(row: Row, times: dict[str, datetime]) -> Row:
    if times:
        type(row)._default_manager.filter(pk=row.pk).update(**times)
        for name, at in times.items():
            setattr(row, name, at)
    return row
