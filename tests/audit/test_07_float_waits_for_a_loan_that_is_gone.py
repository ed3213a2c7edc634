"""AUDIT 7: the float "does not cover the next loan" because of a loan that nobody will pay."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements.floats import take_balance
from disbursements.serve import decide_for
from disbursements.tests.letters import ask
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.fetch import fetch_partner
from loans.models import HoldReason, LoanStatus
from mifos.client import MifosNotFound
from mpesa.models import RequestKind
from mpesa.results import BalanceResult
from mpesa.shortcodes import mark_float_short, shortcode_of
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = ("sandbox", "600000")
NOW = timezone.now()
DAY = timedelta(days=1)


def is_short_after(utility: int) -> bool:
    request = ask(None, RequestKind.BALANCE, environment=PLACE[0], shortcode=PLACE[1])
    result = BalanceResult(
        code="0", description="", conversation_id="", utility_balance=Decimal(utility)
    )
    take_balance(request, result, now=NOW)
    return shortcode_of(*PLACE).float_short_since is not None


class NothingWaits:
    """The lender withdrew every loan in Mifos X."""

    unreadable_rows = ()

    def approved_loans(self):
        return iter(())

    def loan(self, loan_id):
        raise MifosNotFound("withdrawn")


def test_a_failed_loan_that_was_withdrawn_in_mifos_x_does_not_park_the_others():
    partner = make_partner()
    make_product(partner)
    big = make_loan(
        partner,
        status=LoanStatus.FAILED,
        loan_amount=Decimal(200_000),
        next_attempt_at=NOW,
        approved_on=timezone.localdate() - DAY,
    )
    make_attempt(big, status="failed", result_code="1")
    mark_float_short(*PLACE, now=NOW)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)

    decide_for(partner)
    fetch_partner(partner, NothingWaits(), now=NOW)  # type: ignore[arg-type]
    make_loan(partner, loan_amount=Decimal(1_000), hold_reason=HoldReason.FLOAT_SHORT)

    assert not is_short_after(150_000)


@pytest.mark.parametrize(
    "off", [{"is_active": False}, {"is_paused": True}, {"mifos_auto_disbursement_enabled": False}]
)
def test_a_partner_that_pays_nothing_does_not_park_another_one_of_its_shortcode(off):
    idle, busy = make_partner(**off), make_partner()
    yesterday = timezone.localdate() - DAY
    make_loan(
        idle,
        loan_amount=Decimal(200_000),
        hold_reason=HoldReason.FLOAT_SHORT,
        approved_on=yesterday,
    )
    make_loan(busy, loan_amount=Decimal(1_000), hold_reason=HoldReason.FLOAT_SHORT)
    mark_float_short(*PLACE, now=NOW)

    assert not is_short_after(150_000)
