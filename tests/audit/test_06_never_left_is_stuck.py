"""AUDIT 6: an attempt that never left stays `submitting` for ever while its partner may not pay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from disbursements import serve
from disbursements.models import AttemptStatus, TriggeredBy
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa
from loans.models import LoanStatus, LoanTracking
from mpesa.shortcodes import open_breaker
from partners.models import Partner

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("why", ["breaker", "paused", "inactive", "auto off"])
def test_what_never_left_is_taken_back_when_it_may_not_be_sent(why, monkeypatch):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING, disbursement_status="submitting")
    then = timezone.now() - 30 * HOUR
    attempt = make_attempt(
        loan,
        status=AttemptStatus.SUBMITTING,
        conversation_id="",
        sends_in_doubt=0,  # proven: 403.002.1001, no way out, …
        resend_at=then,
        first_sent_at=then,
        last_sent_at=then,
    )
    if why == "breaker":
        open_breaker("sandbox", "600000", cause="403.002.1001", now=then)
    columns = {
        "paused": {"is_paused": True, "paused_by": "a", "pause_reason": "b"},
        "inactive": {"is_active": False},
        "auto off": {"mifos_auto_disbursement_enabled": False},
    }.get(why, {})
    Partner.objects.filter(pk=partner.pk).update(**columns)
    partner = Partner.objects.prefetch_related("products").get(pk=partner.pk)
    mifos = FakeMifos()
    mifos.know(loan)
    monkeypatch.setattr(serve, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(serve, "mpesa_client", lambda _: FakeMpesa())

    for _ in range(6):
        report = serve.process_for(
            partner, serve.Orders(triggered_by=TriggeredBy.SCHEDULE, started_at=timezone.now())
        )
        assert not report.error

    attempt.refresh_from_db()
    loan = LoanTracking.objects.get(pk=loan.pk)
    # L1: terminal, waiting, or before a person. And the shortcode may be corrected at last (O5).
    assert attempt.status == AttemptStatus.FAILED or loan.review_reason
    partner.mpesa_shortcode = "600111"
    try:
        partner.clean()
    except ValidationError as exc:
        pytest.fail(f"the shortcode can never be corrected: {exc}")
