"""AUDIT 131: an approved loan whose row in Mifos X cannot be read is lost, and the poll is "fine".

A field comes as null, or an amount as nothing that is one. The row is left out with a line in the
log; the loan is in no table, on no page and in no report, and the partner shows no error. Only who
runs `test_loan_polling_system` by hand hears of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from disbursements.tests.making import make_partner
from loans.fetch import fetch_partner
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)


class OneOddRow:
    """A Mifos X whose only waiting loan has no principal."""

    unreadable_rows = ("Loan 17: principal is missing or zero",)

    def approved_loans(self) -> Iterator[list[Any]]:
        yield from ()


def test_the_partner_says_which_loan_it_is() -> None:
    make_partner()
    mifos: Any = OneOddRow()

    fetch_partner(Partner.objects.get(), mifos, now=timezone.now())

    partner = Partner.objects.get()
    assert "Loan 17" in partner.last_error
    assert partner.last_poll_succeeded_at is not None  # the others were read
