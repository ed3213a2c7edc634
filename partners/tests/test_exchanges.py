"""What is kept of the exchanges with Mifos X, that it never stops anything, and how it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from mifos.exchange import Ending, Exchange
from partners import exchanges
from partners.exchanges import keeper
from partners.models import MifosExchange
from partners.tests.samples import make_partner

pytestmark = pytest.mark.django_db


def an_exchange(**changes: object) -> Exchange:
    values = {
        "method": "POST",
        "path": "/loans/31",
        "command": "disburse",
        "started_at": datetime(2026, 11, 2, 9, tzinfo=UTC),
        "seconds": 0.25,
        "ending": Ending.ANSWERED,
        "status": 403,
        "body": b"not allowed",
    }
    return Exchange(**{**values, **changes})


def test_an_order_is_kept_as_one_row():
    partner = make_partner()

    keeper(partner.pk)(an_exchange())

    row = MifosExchange.objects.get()
    assert (row.partner, row.loan_id, row.method) == (partner, 31, "POST")
    assert (row.path, row.ending, row.http_status) == (
        "/loans/31?command=disburse",
        "answered",
        403,
    )
    assert (row.milliseconds, row.excerpt, len(row.body_digest)) == (250, "not allowed", 64)


def test_a_question_that_went_well_leaves_no_row():
    keeper(make_partner().pk)(an_exchange(method="GET", command="", status=200))

    assert not MifosExchange.objects.exists()


@pytest.mark.parametrize("fault", [DatabaseError, InterfaceError])
def test_a_row_that_cannot_be_written_stops_nothing(monkeypatch, caplog, fault):
    def fail(partner_id, exchange):
        raise fault("disk full of 254712345678")

    monkeypatch.setattr(exchanges, "_row", fail)

    keeper(make_partner().pk)(an_exchange())

    assert caplog.messages == ["An exchange with Mifos X could not be kept: " + fault.__name__]


def prune(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue().strip()


def test_prune_removes_the_old_and_keeps_the_young(monkeypatch):
    monkeypatch.setattr(exchanges, "REMOVED_AT_ONCE", 2)
    keep = keeper(make_partner().pk)
    for days in (401, 402, 403, 399):
        keep(an_exchange(started_at=timezone.now() - timedelta(days=days)))

    assert prune("--dry-run") == "3 exchanges with Mifos X would be removed."
    assert prune() == "3 exchanges with Mifos X removed."
    assert prune("--older-than", "300d") == "1 exchanges with Mifos X removed."


@pytest.mark.parametrize("age", ["0d", "400", "a year", "-3d"])
def test_prune_says_what_an_age_is(age):
    with pytest.raises(CommandError, match="a number of days such as 400d"):
        prune(f"--older-than={age}")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no pool")
@pytest.mark.django_db(transaction=True)
def test_the_connection_goes_back_to_the_pool_at_once():
    keep = keeper(make_partner().pk)

    keep(an_exchange())

    assert connection.connection is None
    assert MifosExchange.objects.count() == 1
