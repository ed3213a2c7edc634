"""AUDIT 11: `INSERT OR REPLACE` rewrites events on SQLite; `TRUNCATE` on PostgreSQL."""

from __future__ import annotations

import pytest
from django.db import Error, connection, transaction

from disbursements.tests.making import make_event, make_loan
from loans.models import LoanEvent

pytestmark = pytest.mark.django_db
COLUMNS = (
    "id, loan_tracking_id, disbursement_request_id, from_status, to_status, actor, reason, at, "
    "details, previous_digest, digest"
)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="its REPLACE fires no DELETE trigger")
def test_an_event_cannot_be_replaced():
    event = make_event(make_loan(), reason="as it was")
    chosen = COLUMNS.replace(" reason,", " 'as I like it',")

    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO loan_events ({COLUMNS}) SELECT {chosen} FROM loan_events"
        )

    assert LoanEvent.objects.get(pk=event.pk).reason == "as it was"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's TRUNCATE")
def test_the_trail_cannot_be_truncated():
    make_event(make_loan())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE loan_events")

    assert LoanEvent.objects.count() == 1
