"""AUDIT 22: a pass with a time budget polls for as long as one Mifos X likes (L4, design 5.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from disbursements import serve
from disbursements.models import TriggeredBy
from disbursements.passes import run_sync
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, detail_of
from loans.models import LoanTracking

SECONDS = 0.5


class SlowList(FakeMifos):
    def approved_loans(self) -> Iterator[list[Any]]:
        known = LoanTracking.objects.first()
        for _ in range(60):
            time.sleep(0.1)  # in life: pages of up to 60 s each
            yield [detail_of(known)]


@pytest.mark.django_db(transaction=True)
def test_a_pass_stops_fetching_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    partner = make_partner(is_paused=True)
    make_product(partner)
    make_loan(partner, approved_on=timezone.localdate())
    mifos = SlowList()
    monkeypatch.setattr(serve, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(serve, "mpesa_client", lambda _: FakeMpesa())
    started = time.monotonic()

    run_sync(triggered_by=TriggeredBy.API, budget_seconds=SECONDS)

    assert time.monotonic() - started < 5 * SECONDS
