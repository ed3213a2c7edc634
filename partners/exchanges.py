"""Keeps what went to a partner's Mifos X and came back, where it may be asked for later (A4)."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import Error as DatabaseFault
from django.db import connection
from django.db.models import QuerySet

from mifos.exchange import Exchange, Keep
from partners.models import MifosExchange
from partners.overlap import leave_database

LONGEST_PATH = 300
REMOVED_AT_ONCE = 2000  # so that no pass waits long for the one writer of SQLite
logger = logging.getLogger(__name__)


def keeper(partner_id: int) -> Keep:
    """Return what a client of this partner tells its exchanges to."""

    def keep(exchange: Exchange) -> None:
        if exchange.is_worth_keeping:
            _keep(partner_id, exchange)

    return keep


def _keep(partner_id: int, exchange: Exchange) -> None:
    """Write one row. What it says is known elsewhere too, so that it fails must stop nothing."""
    try:
        _row(partner_id, exchange).save(force_insert=True)
    except DatabaseFault as exc:  # InterfaceError, too, which is no DatabaseError
        logger.warning("An exchange with Mifos X could not be kept: %s", type(exc).__name__)
    if not connection.in_atomic_block:
        leave_database()  # the caller left it before this call, and may call again at once


def _row(partner_id: int, exchange: Exchange) -> MifosExchange:
    command = f"?command={exchange.command}" if exchange.command else ""
    return MifosExchange(
        partner_id=partner_id,
        loan_id=exchange.loan_id,
        method=exchange.method,
        path=f"{exchange.path}{command}"[:LONGEST_PATH],
        started_at=exchange.started_at,
        milliseconds=round(exchange.seconds * 1000),
        ending=exchange.ending,
        http_status=exchange.status,
        body_digest=exchange.digest,
        excerpt=exchange.excerpt,
    )


def old_exchanges(before: datetime) -> QuerySet[MifosExchange]:
    """Return what was begun before that instant."""
    return MifosExchange.objects.filter(started_at__lt=before)


def remove_old(before: datetime) -> int:
    """Remove what was begun before that instant, a few at a time. Return how many."""
    removed = 0
    while batch := list(old_exchanges(before).values_list("pk", flat=True)[:REMOVED_AT_ONCE]):
        removed += MifosExchange.objects.filter(pk__in=batch).delete()[0]
    return removed
