"""AUDIT 23: a claim that the database refuses leaves its loan "ready" for ever, silently."""

from __future__ import annotations

import pytest

from disbursements.claiming import attempt_digest, originator_conversation_id
from disbursements.models import DisbursementRequest
from disbursements.process import pay_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanStatus, LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


def test_a_loan_whose_id_another_attempt_holds_is_before_a_person_within_six_passes():
    # The tenant was entered anew under another slug, after the old partner moved its address away.
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    paid = make_attempt(make_loan(make_partner(), status=LoanStatus.DISBURSED), status="completed")
    digest = attempt_digest(partner=partner, loan=loan, attempt_no=1)
    DisbursementRequest.objects.filter(pk=paid.pk).update(
        originator_conversation_id=originator_conversation_id(partner=partner, digest=digest)
    )
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)

    for _ in range(6):
        pay_loan(loan.pk, make_shop(partner, mifos, mpesa))

    assert mpesa.orders == []  # this much holds
    row = LoanTracking.objects.get(pk=loan.pk)
    assert row.review_reason or row.hold_reason
