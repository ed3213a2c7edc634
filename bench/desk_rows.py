"""A desk full of loans, written by the database itself: a million rows in about a minute."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from disbursements.models import DisbursementRequest
from loans.models import LoanEvent, LoanTracking
from mpesa.models import MpesaRequest, Shortcode
from partners.models import LoanProductAutoDisbursalConfig, Partner, PartnerMembership

PARTNERS = 20
PRODUCTS = 5
PER_DAY = 5000
# A desk on a working day: some hundreds wait, and the rest is history.
PENDING, PROCESSING = 500, 100
FIRST = (
    *("Achieng", "Akinyi", "Atieno", "Barasa", "Chebet", "Cherono", "Fatuma", "Grace", "Halima"),
    *("James", "Jane", "John", "Joseph", "Kevin", "Lucy", "Mary", "Mercy", "Peter", "Rose"),
)
LAST = (
    *("Kamau", "Kariuki", "Kimani", "Kiprono", "Koech", "Macharia", "Maina", "Muthoni", "Mutua"),
    *("Mwangi", "Njeri", "Njoroge", "Nyambura", "Odhiambo", "Omondi", "Otieno", "Ouma", "Wafula"),
    *("Wairimu", "Wambui", "Wanjiku", "Wanjiru", "Were"),
)
STEP = 86400 // PER_DAY  # seconds from one loan to the one before it
RARE = "Zipporah Rare"  # some twenty loans in a million


def fill(loans: int) -> None:
    """Write the partners, the two people, and `loans` loans with what belongs to them."""
    make_partners()
    make_people()
    with connection.cursor() as cursor:
        for model, columns in _tables():
            cursor.execute(*_insert(model, columns, loans=loans))
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")  # as autovacuum does, which has had no time yet


def make_partners() -> None:
    now = timezone.now()
    for number in range(1, PARTNERS + 1):
        partner = Partner.objects.create(
            slug=f"lender-{number}",
            name=f"Lender {number}",
            is_mifos_configured=True,
            is_mpesa_configured=True,
            mifos_auto_disbursement_enabled=True,
            mifos_host_url=f"https://mifos-{number}.example.co.ke",
            mifos_tenant_id="default",
            mpesa_shortcode=f"6001{number:02}",
            last_polled_at=now,
            last_poll_succeeded_at=now,
        )
        Shortcode.objects.create(
            environment=partner.mpesa_environment,
            shortcode=partner.mpesa_shortcode,
            utility_balance=1_000_000,
            utility_balance_at=now - timedelta(minutes=4),
        )
        LoanProductAutoDisbursalConfig.objects.bulk_create(
            LoanProductAutoDisbursalConfig(
                partner=partner, product_id=product, product_name=f"Product {product}", enabled=True
            )
            for product in range(1, PRODUCTS + 1)
        )


def make_people() -> None:
    """One who sees all lenders, and one who is bound to a single one."""
    User.objects.create_superuser("all")
    bound = User.objects.create_superuser("one")
    PartnerMembership.objects.create(user=bound, partner=Partner.objects.earliest("pk"))


def _tables() -> Iterator[tuple[type[Model], dict[str, str]]]:
    """Yield each table with the expressions of its columns; `i` is the loan, 1 the newest."""
    yield LoanTracking, _loan_columns()
    yield DisbursementRequest, _attempt_columns()
    yield MpesaRequest, _request_columns()
    for number in range(3):
        yield LoanEvent, _event_columns(number)


def _insert(model: type[Model], columns: dict[str, str], *, loans: int) -> tuple[str, list[Any]]:
    """Return the statement that writes a row for each loan. What is not said is the default."""
    fields = [
        field
        for field in model._meta.concrete_fields
        if field.column in columns or not field.primary_key
    ]
    names = ", ".join(f'"{field.column}"' for field in fields)
    shown = ", ".join(
        columns[field.column].replace("%", "%%") if field.column in columns else "%s"
        for field in fields
    )
    values = [_default(field) for field in fields if field.column not in columns]
    # Whatever still waits has no attempt yet.
    first = 1 if model is LoanTracking else PENDING + 1
    return (
        f'INSERT INTO "{model._meta.db_table}" ({names}) '
        "WITH RECURSIVE n(i) AS "
        "(SELECT CAST(%s AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
        f"SELECT {shown} FROM n",
        [first, loans, *values],
    )


def _default(field: Any) -> Any:
    value = None if field.null and not field.has_default() else field.get_default()
    return (
        json.dumps(value) if isinstance(value, dict) else field.get_db_prep_save(value, connection)
    )


def _loan_columns() -> dict[str, str]:
    return {
        "id": "i",
        "partner_id": _partner(),
        "loan_id": "i + 10000",
        "account_number": "CAST(200000000 + i AS TEXT)",
        "client_id": "i / 3 + 1",
        "client_name": _name(),
        "phone_number": "'2547' || CAST(10000000 + i AS TEXT)",
        "product_id": f"i / {PARTNERS} % {PRODUCTS} + 1",
        "product_name": f"'Product ' || CAST(i / {PARTNERS} % {PRODUCTS} + 1 AS TEXT)",
        "loan_amount": "(i * 7919) % 100000 + 1000",
        "net_disbursal_amount": "(i * 7919) % 100000 + 800",
        "currency": "'KES'",
        "status": _by_state(
            pending="'pending_disbursement'",
            processing="'processing_disbursement'",
            review="'processing_disbursement'",
            failed="'failed'",
            cancelled="'cancelled'",
            paid="'disbursed'",
        ),
        "hold_reason": f"CASE WHEN i <= {PENDING} AND i % 2 = 0 THEN 'needs_approval' ELSE '' END",
        "review_reason": _by_state(review="'outcome_unknown'", paid="''"),
        "review_since": _by_state(review=_ago(), paid="NULL", other="NULL"),
        "mpesa_receipt_number": _by_state(paid=_receipt()),
        "disbursed_at": _by_state(paid=_ago(after=70), other="NULL"),
        "created_at": _ago(),
        "updated_at": _ago(after=70),
    }


def _attempt_columns() -> dict[str, str]:
    return {
        "loan_tracking_id": "i",
        "partner_id": _partner(),
        "attempt_no": "1",
        "triggered_by": "'schedule'",
        "amount": "(i * 7919) % 100000 + 800",
        "principal": "(i * 7919) % 100000 + 1000",
        "msisdn": "'2547' || CAST(10000000 + i AS TEXT)",
        "mpesa_environment": "'sandbox'",
        "mpesa_shortcode": "'600100'",
        "originator_conversation_id": "'LP-' || CAST(i AS TEXT)",
        "conversation_id": "'AG_' || CAST(i AS TEXT)",
        "mifos_external_id": "'LP-' || CAST(i AS TEXT)",
        "status": _by_state(
            processing="'accepted'",
            review="'unknown'",
            failed="'failed'",
            cancelled="'failed'",
            paid="'completed'",
        ),
        "send_count": "1",
        "result_code": _by_state(failed="'1'", cancelled="'2040'", paid="'0'"),
        "transaction_receipt": _by_state(paid=_receipt()),
        "first_sent_at": _ago(after=50),
        "paid_at": _by_state(paid=_ago(after=65), other="NULL"),
        "completed_at": _by_state(paid=_ago(after=70), other="NULL"),
        "created_at": _ago(after=50),
        "updated_at": _ago(after=70),
    }


def _request_columns() -> dict[str, str]:
    return {
        "kind": "'payment'",
        "environment": "'sandbox'",
        "shortcode": "'600100'",
        "originator_conversation_id": "'LP-' || CAST(i AS TEXT)",
        "conversation_id": "'AG_' || CAST(i AS TEXT)",
        "token_digest": "'digest-' || CAST(i AS TEXT)",
        "sent_at": _ago(after=50),
    }


def _event_columns(number: int) -> dict[str, str]:
    digest = "'" + "0123456789abcdef" * 4 + "'"
    return {
        "loan_tracking_id": "i",
        "from_status": "''" if number == 0 else "'submitting'",
        "to_status": "'submitting'" if number == 0 else "'accepted'",
        "actor": "'system'",
        "reason": f"'What happened, number {number}'",
        "at": _ago(after=50 + number),
        "previous_digest": digest,
        "digest": digest,
    }


def _by_state(*, paid: str, other: str = "''", **states: str) -> str:
    """Return the expression that tells the states of the loans apart."""
    conditions = {
        "pending": f"i <= {PENDING}",
        "processing": f"i <= {PENDING + PROCESSING}",
        "review": "i % 5000 = 7",
        "failed": "i % 400 = 3",
        "cancelled": "i % 100 = 1",
    }
    cases = (f"WHEN {when} THEN {states.get(name, other)}" for name, when in conditions.items())
    return f"CASE {' '.join(cases)} ELSE {paid} END"


def _ago(*, after: int = 0) -> str:
    """Return the moment `after` seconds after the loan was found."""
    seconds = f"(i * {STEP} + 90 - {after})"
    if connection.vendor == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || {seconds} || ' seconds')"
    return f"now() - {seconds} * interval '1 second'"


def _partner() -> str:
    return f"(SELECT min(id) FROM partners) + i % {PARTNERS}"


def _receipt() -> str:
    return "CAST(1000000000 + i AS TEXT)"


def _name() -> str:
    names = f"{_one_of(FIRST, 7919)} || ' ' || {_one_of(LAST, 104_729)}"
    return f"CASE WHEN i % 50000 = 13 THEN '{RARE}' ELSE {names} END"


def _one_of(words: Sequence[str], prime: int) -> str:
    width = max(map(len, words))
    row = "".join(f"{word:<{width}}" for word in words)
    at = f"CAST((i * {prime}) % {len(words)} * {width} + 1 AS INTEGER)"
    return f"TRIM(SUBSTR('{row}', {at}, {width}))"
