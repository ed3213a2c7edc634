"""What Mifos X decides about a loan, as columns of ours, to the cent and never rounded."""

from __future__ import annotations

from decimal import Decimal

import pytest

from disbursements.tests.making import make_loan
from disbursements.tests.peers import client_of, detail_of
from loans.models import HoldReason
from loans.terms import changed_terms, columns_of_client, columns_of_loan, terms_differ
from mifos.client import Loan, LoanDetail, MifosUnreachable

pytestmark = pytest.mark.django_db


def listed(detail: LoanDetail) -> Loan:
    return Loan(**{name: getattr(detail, name) for name in Loan.__dataclass_fields__})


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        (Decimal("12500.000000"), Decimal("12500.00")),
        (Decimal("12500.500000"), Decimal("12500.50")),
        (Decimal("12500.505"), None),
        (None, None),
    ],
)
def test_an_amount_is_kept_to_the_cent_or_not_at_all(shown, kept):
    assert (
        columns_of_loan(detail_of(make_loan(), net_disbursal_amount=shown))["net_disbursal_amount"]
        == kept
    )


def test_a_principal_finer_than_cents_is_an_obstacle():
    columns = columns_of_loan(detail_of(make_loan(), principal=Decimal("12500.001")))

    assert columns["mifos_obstacle"] == HoldReason.CENTS


@pytest.mark.parametrize(
    ("raw", "kept"), [("0712 345 678", "254712345678"), ("0712/0722", "0712/0722"), ("", "")]
)
def test_a_phone_is_kept_as_m_pesa_wants_it_or_as_it_is(raw, kept):
    client = client_of(make_loan(), mobile_number=raw)

    assert columns_of_client(client)["phone_number"] == kept


def test_a_client_that_could_not_be_read_has_no_phone():
    assert columns_of_client(MifosUnreachable("away")) == {"phone_number": ""}
    assert columns_of_client(None) == {"phone_number": ""}


def test_a_list_that_shows_the_same_costs_nothing():
    loan = make_loan()

    assert not terms_differ(loan, listed(detail_of(loan, client_name="In the list")))
    assert terms_differ(loan, listed(detail_of(loan, principal=Decimal(1))))


def test_a_list_cannot_clear_an_obstacle_that_it_cannot_see():
    loan = make_loan(mifos_obstacle=HoldReason.LINKED_SAVINGS)

    assert not terms_differ(loan, listed(detail_of(loan)))
    assert terms_differ(loan, detail_of(loan))


def test_only_what_changed_is_named():
    loan = make_loan()

    assert changed_terms(loan, {"currency": "KES", "product_id": 9}) == {"product_id": 9}
