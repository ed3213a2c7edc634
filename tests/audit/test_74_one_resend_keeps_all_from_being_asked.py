"""AUDIT 74: Mifos X's settings are taken away, and one payment that waits to be sent again keeps
all the others of its partner from being asked about.

"An open payment is seen through when Mifos X is no longer configured" (audit 54). But the step that
sends again comes first, needs Mifos X, and its "not configured" ends the partner's share of the
pass before anybody is asked, doubted or called (reliability.md L2, L6, L8).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements import serve
from disbursements.models import AttemptStatus, DisbursementRequest, TriggeredBy
from disbursements.serve import Orders, process_for
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMpesa
from loans.models import LoanStatus
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own


def test_the_silent_are_asked_though_one_waits_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ago = timezone.now() - timedelta(minutes=20)
    partner = make_partner()
    waits, silent = (make_loan(partner, status=LoanStatus.PROCESSING) for _ in range(2))
    turned_away = {"send_count": 1, "sends_in_doubt": 1, "resend_at": ago}
    make_attempt(waits, status=AttemptStatus.SUBMITTING, **turned_away)
    asked = make_attempt(silent, status=AttemptStatus.ACCEPTED, next_query_at=ago)
    partner = Partner.objects.get()
    partner.is_mifos_configured, partner.mifos_password = False, ""
    partner.full_clean()  # and every door takes it
    partner.save()
    mpesa = FakeMpesa()
    monkeypatch.setattr(serve, "mpesa_client", lambda _: mpesa)

    orders = Orders(triggered_by=TriggeredBy.SCHEDULE, started_at=timezone.now())
    report = process_for(partner, orders)

    assert "incomplete" in report.error  # whoever reads the report is told
    assert len(mpesa.questions) >= 1
    assert DisbursementRequest.objects.get(pk=asked.pk).query_count == 1
