"""AUDIT 78: at a slow pace what waits to be sent again is never sent.

It is read in Mifos X, then waits for the shortcode's next slot, and by then the reading is too old
(10 s). A new payment is read anew when it has its slot; this one gives its slot up and begins again
in the next pass. With a pace below one in ten seconds, or several that wait in front of it, it
never leaves, and uses up each time the slot of one that could (reliability.md L6).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.utils import timezone

from disbursements import reread
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.resend import send_again
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import whole

pytestmark = pytest.mark.django_db


def test_it_is_read_again_when_its_slot_came_late(monkeypatch: pytest.MonkeyPatch) -> None:
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner, status=LoanStatus.PROCESSING)
    attempt = make_attempt(
        loan, status=AttemptStatus.SUBMITTING, sends_in_doubt=0, resend_at=timezone.now()
    )
    clock = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(reread, "time", SimpleNamespace(monotonic=lambda: clock.at))
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    shop = make_shop(whole(partner), mifos, mpesa)
    slots = []

    def next_slot() -> None:
        slots.append(clock.at)
        clock.at += 15

    monkeypatch.setattr(shop, "wait_for_slot", next_slot)

    send_again(attempt.pk, shop)

    assert [each.originator_conversation_id for each in mpesa.orders] == [
        attempt.originator_conversation_id
    ]
    assert len(slots) == 1
    assert DisbursementRequest.objects.get().status == AttemptStatus.ACCEPTED
