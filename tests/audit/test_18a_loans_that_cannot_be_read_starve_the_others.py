"""AUDIT 18a: three loans that cannot be read keep a partner's other loans from ever being paid.

An approved loan whose row cannot be read is told on the partner (audit 131), one whose client is
not shown is held (audit 115). One whose *detail* cannot be used, a field being odd, counts as a
silence of Mifos X. Three of them, the oldest first, and the pass gives Mifos X up; so does the next
one, in the same order (reliability.md L6, L8). With one or two, nobody hears of it at all.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements import jobs
from disbursements.process import due_loans, pay_due_loans
from disbursements.record import record_paid
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, disbursal_of, make_shop
from loans.models import LoanStatus
from mifos.client import MifosClient, MifosUnreachable
from mifos.tests.conftest import BASE, http, mifos
from tests.audit.test_31_mends_of_the_first import whole

__all__ = ["http", "mifos"]
pytestmark = pytest.mark.django_db(transaction=True)
TODAY = timezone.localdate()


def odd(client: MifosClient, http: Any) -> MifosUnreachable:
    """Return what the client raises for a detail of which one field is no amount."""
    http.get(f"{BASE}/loans/3198", json={"id": 3198, "status": {"id": 200}, "principal": "x"})
    with pytest.raises(MifosUnreachable) as told:
        client.loan(3198)
    return told.value


@pytest.mark.parametrize("count", [1, 3])
def test_the_others_are_paid_and_it_is_told(count: int, mifos: MifosClient, http: Any) -> None:
    partner = make_partner(mifos_concurrency=1)
    make_product(partner)
    peer, mpesa = FakeMifos(), FakeMpesa()
    for _ in range(count):
        loan = make_loan(partner, approved_on=TODAY - timedelta(days=1))
        peer.loans[loan.loan_id] = odd(mifos, http)
    good = make_loan(partner, approved_on=TODAY)
    peer.know(good)
    shop = make_shop(whole(partner), peer, mpesa)

    list(pay_due_loans(shop, due_loans(partner, now=timezone.now())))

    assert len(mpesa.orders) == 1
    assert "cannot be used" in shop.error


def test_a_worker_tells_it_too(
    mifos: MifosClient, http: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = make_partner()
    make_product(partner)
    peer = FakeMifos()
    loan = make_loan(partner)
    peer.loans[loan.loan_id] = odd(mifos, http)
    shop = make_shop(whole(partner), peer, FakeMpesa())
    monkeypatch.setattr(jobs, "_shop_for", lambda partner_id: shop)

    jobs.pay(loan.pk)

    partner.refresh_from_db()
    assert "cannot be used" in partner.last_error


def test_a_mifos_that_is_away_is_given_up() -> None:
    partner = make_partner(mifos_concurrency=1)
    make_product(partner)
    peer, mpesa = FakeMifos(), FakeMpesa()
    for _ in range(9):
        peer.loans[make_loan(partner).loan_id] = MifosUnreachable("Mifos X did not answer")

    shop = make_shop(whole(partner), peer, mpesa)
    list(pay_due_loans(shop, due_loans(partner, now=timezone.now())))

    assert peer.reads == 3


def test_the_others_are_recorded(mifos: MifosClient, http: Any) -> None:
    partner = make_partner(mifos_concurrency=1)
    peer: Any = FakeMifos()
    attempts = []
    for count in range(4):
        loan = make_loan(
            partner, status=LoanStatus.PROCESSING, mpesa_receipt_number=f"SGH7K2M9Q{count}"
        )
        at = timezone.now() - timedelta(hours=9 - count)
        attempts.append(make_attempt(loan, status="paid", next_record_at=at))
        peer.loans[loan.loan_id] = odd(mifos, http)
    last = attempts[-1]
    peer.know(last.loan_tracking, status_id=300, disbursals=(disbursal_of(last),))

    assert record_paid(partner, peer) == 1
