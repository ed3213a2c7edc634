"""AUDIT 115: a loan whose client Mifos X does not show looks ready for ever, and nobody is told.

The service user loses READ_CLIENT, or the client is moved to an office that it does not see. Each
pass reads the loan, is refused the client, and goes on: the loan says "the next pass pays it" for
good, without a hold, a review or an error of its partner (a new loan in this state is held).
"""

from __future__ import annotations

import pytest

from disbursements.process import pay_loan
from disbursements.reports import LoanOutcome
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, client_of, make_shop
from loans.decide import RECHECK_HOLDS
from loans.models import LoanTracking
from mifos.client import MifosError, MifosNotAllowed, MifosNotFound, MifosUnreachable
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good


def pay(mifos: FakeMifos) -> FakeMpesa:
    loan, mpesa = LoanTracking.objects.get(), FakeMpesa()
    report = pay_loan(loan.pk, make_shop(whole(loan.partner), mifos, mpesa))
    assert mpesa.orders or report.outcome == LoanOutcome.HELD
    return mpesa


@pytest.fixture
def mifos() -> FakeMifos:
    partner = make_partner()
    make_product(partner)
    mifos = FakeMifos()
    mifos.know(make_loan(partner))
    decide_for(whole(partner))
    return mifos


@pytest.mark.parametrize("refusal", [MifosNotAllowed("not yours"), MifosNotFound("there is none")])
def test_it_says_so_and_goes_on_when_the_client_is_shown_again(
    mifos: FakeMifos, refusal: MifosError
) -> None:
    loan = LoanTracking.objects.get()
    mifos.clients[loan.client_id or 0] = refusal

    pay(mifos)

    row = LoanTracking.objects.get()
    assert row.hold_reason in RECHECK_HOLDS
    assert str(refusal) in row.error_message
    assert row.next_attempt_at is not None

    mifos.clients[loan.client_id or 0] = client_of(loan)
    assert len(pay(mifos).orders) == 1


def test_silence_holds_nothing(mifos: FakeMifos) -> None:
    loan = LoanTracking.objects.get()
    mifos.clients[loan.client_id or 0] = MifosUnreachable("Mifos X did not answer")

    pay(mifos)

    assert LoanTracking.objects.get().hold_reason == ""
