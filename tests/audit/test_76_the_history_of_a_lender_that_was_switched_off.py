"""AUDIT 76: whether a lender that was switched off has an open payment is read from its whole
history.

Every minute, and in every pass, each partner that is not polled is looked through for an attempt
"that is not completed and not failed". No index answers "is not": all that it ever paid is read,
and most when the answer is no (reliability.md 4.7).
"""

from __future__ import annotations

import pytest
from django.db import connection

from disbursements.passes import serving

pytestmark = pytest.mark.django_db


def test_an_index_finds_the_open_payments() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by the size of its tables")
    plan = serving().prefetch_related(None).explain()

    [attempts] = [line for line in plan.splitlines() if "attempts_" in line or "U0" in line]
    assert "status=?" in attempts
