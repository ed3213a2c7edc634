"""AUDIT 187: a pass that opens while the day ends pays all of the new day by the old one.

Audit 166 ends a pass with its day. That day is noted once the preflight is read, whose requests may
take long: the business date is asked for before midnight, the pass is "of" the day after it, and
pays on by the date of yesterday.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from disbursements import serve
from disbursements.models import TriggeredBy
from disbursements.tests.making import make_partner
from disbursements.tests.peers import FakeMifos, FakeMpesa
from loans.eligibility import start_of_day
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db
MIDNIGHT = start_of_day(timezone.localdate() + timedelta(days=1))


@pytest.mark.parametrize("is_slow", [True, False])
def test_it_pays_nothing_by_the_date_of_yesterday(
    is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = whole(make_partner())
    with time_machine.travel(MIDNIGHT - timedelta(seconds=5), tick=True) as clock:

        class SlowMifos(FakeMifos):
            def business_date(self, *, now: datetime) -> date:
                today = timezone.localdate()
                if is_slow:
                    clock.shift(timedelta(seconds=10))
                return today

        mifos: Any = SlowMifos()
        monkeypatch.setattr(serve, "mifos_client", lambda _: mifos)
        monkeypatch.setattr(serve, "mpesa_client", lambda _: FakeMpesa())

        shop = serve.open_shop(partner, TriggeredBy.SCHEDULE)

        assert shop.takes_more != is_slow
