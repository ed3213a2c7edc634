"""AUDIT 130: a refusal of the old credential that is delivered late stops the shortcode anew.

Several payments are on their way when the first one is refused (2001). A person corrects the
credential and lets the shortcode go; the result of another of those payments comes, or is read,
after that. It speaks of the old credential (audits 84 and 112 see to the answers of requests), and
stops every lender of the shortcode once more.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.settle import apply_callback
from disbursements.tests.letters import ask, failure, letter
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from mpesa.models import CallbackKind
from mpesa.shortcodes import is_stopped, open_breaker, reset_breaker
from partners.credentials import paste_credential

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")
AGO = timezone.now() - timedelta(minutes=10)


@pytest.mark.parametrize("is_corrected", [True, False])
def test_the_late_refusal_of_the_old_one_stops_nothing(is_corrected: bool) -> None:
    partner = make_partner()
    attempt = make_attempt(make_loan(partner, status=LoanStatus.PROCESSING), last_sent_at=AGO)
    request = ask(attempt, at=AGO)
    if is_corrected:
        open_breaker(*PLACE, cause="2001", now=AGO)
        paste_credential(partner, "the-new-one", now=timezone.now())
        partner.save()
        reset_breaker(*PLACE)

    apply_callback(letter(request, CallbackKind.PAYMENT_RESULT, failure(attempt, "2001")).pk)

    assert is_stopped(*PLACE) != is_corrected
