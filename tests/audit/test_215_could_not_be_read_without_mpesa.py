"""AUDIT 215: a lender without M-Pesa settings "could not be read", though it is read all the time.

A worker that cannot open a lender's shop tells so on the lender (audit of that morning). One whose
M-Pesa settings were taken away has no shop, and what it paid before is recorded still: each such
visit writes "the M-Pesa settings are not complete" where every page says "could not be read".
A pass says nothing of the kind.
"""

from __future__ import annotations

import pytest

from disbursements import jobs
from disbursements.tests.making import make_partner

pytestmark = pytest.mark.django_db


def test_its_mifos_x_is_not_accused() -> None:
    partner = make_partner(is_mpesa_configured=False, mpesa_consumer_key="")
    jobs.visits.forget()

    visit = jobs.visits.of(partner.pk)

    partner.refresh_from_db()
    assert visit is not None
    assert visit.shop is None
    assert partner.last_error == ""
