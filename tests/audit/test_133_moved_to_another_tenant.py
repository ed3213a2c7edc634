"""AUDIT 133: a lender is moved to another tenant, and some of its loans there are never seen.

Loans are known by their number in Mifos X. Once no payment is open, host and tenant may be changed
(a test tenant to the real one); the new tenant counts from 1, too. A loan there whose number stands
in our table as failed is not followed, not kept as a new one, and told to nobody.
"""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import client_of, detail_of
from loans.fetch import fetch_partner
from loans.models import LoanStatus, LoanTracking
from loans.tests.test_fetch import Listing
from partners.models import Partner
from partners.validation import check_partner
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_loan_of_the_new_tenant_is_kept_or_the_move_is_refused() -> None:
    partner = make_partner(mifos_tenant_id="rehearsal")
    make_product(partner)
    old = make_loan(partner, status=LoanStatus.FAILED, client_name="A test client")
    make_attempt(old, status="failed", failed_at=timezone.now())
    partner.mifos_tenant_id = "default"
    try:
        check_partner(partner)
    except ValidationError:
        return  # somebody must see to the old loans first
    partner.save()
    new = LoanTracking(**{**vars_of(old), "client_id": 4711, "client_name": "Jane Wanjiku"})
    mifos = Listing([detail_of(new)])
    mifos.clients[4711] = client_of(new)

    fetch_partner(whole(Partner.objects.get()), mifos, now=timezone.now())  # type: ignore[arg-type]

    assert "Jane Wanjiku" in set(LoanTracking.objects.values_list("client_name", flat=True))


def vars_of(loan: LoanTracking) -> dict[str, object]:
    names = ("partner_id", "loan_id", "product_id", "loan_amount", "net_disbursal_amount")
    return {name: getattr(loan, name) for name in (*names, "currency", "phone_number")}
