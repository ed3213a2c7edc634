"""AUDIT 80: a pass reads the left-over letters of every lender first, one after the other.

They are read before any partner is served, by one thread, whatever partner was named and however
little time the pass has. After an hour of workers that stood still, the pass of one lender (its own
API key, 25 s) first settles the payments of all the others, and none of its own loans in time
(reliability.md S19, L4; design.md 5.3).
"""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements import passes, settle
from disbursements.models import TriggeredBy
from disbursements.passes import run_process
from disbursements.reports import PartnerProcess
from disbursements.serve import Orders
from disbursements.tests.letters import ask, letter, success
from disbursements.tests.making import make_attempt, make_loan, make_partner
from loans.models import LoanStatus
from mpesa.models import CallbackKind, MpesaCallback
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # the threads have connections of their own


def letters_of(partner: Partner, number: int) -> None:
    for _ in range(number):
        attempt = make_attempt(make_loan(partner, status=LoanStatus.PROCESSING))
        letter(ask(attempt), CallbackKind.PAYMENT_RESULT, success(attempt))
    MpesaCallback.objects.update(received_at=timezone.now() - timedelta(hours=1))


def test_the_time_of_a_pass_is_its_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    umoja, other = make_partner(), make_partner(mpesa_shortcode="600002")
    letters_of(other, 6)
    reads = settle.apply_callback

    def slowly(pk: int) -> str:
        time.sleep(0.2)
        return reads(pk)

    monkeypatch.setattr(settle, "apply_callback", slowly)
    served: list[bool] = []

    def process(partner: Partner, orders: Orders) -> PartnerProcess:
        served.append(orders.is_out_of_time)
        return PartnerProcess(partner=partner.name, slug=partner.slug)

    monkeypatch.setattr(passes, "process_for", process)

    run_process(partners=[umoja.slug], triggered_by=TriggeredBy.API, budget_seconds=0.6)

    assert served == [False]  # its turn came in time
