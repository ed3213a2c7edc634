"""AUDIT 94: a new cycle is opened over a payment that nobody looked at since it was undone.

As in audit 77, but it is the comparison of the books that finds it undone, while the next look of
the recorder is up to an hour away (its pauses grow). The new cycle is opened, approved, paid and
recorded before that look; then the old attempt finds the new cycle's record: "possible double
payment", for ever, however often two people settle it. When the look comes before the new cycle is
paid, a person is called once more to what was answered by opening it.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.reconcile.differences import Difference, DifferenceKind
from disbursements.reconcile.follow_up import follow_up
from disbursements.tests.making import make_attempt, make_receipt
from disbursements.tests.peers import disbursal_of
from disbursements.tests.test_record import Scene
from loans.holding import open_new_cycle
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("is_paid", [True, False], ids=["paid by then", "still waiting"])
def test_the_old_cycle_rests_once_a_new_one_was_opened(is_paid: bool) -> None:
    scene = Scene()
    undone = disbursal_of(scene.attempt, is_reversed=True)
    found = Difference(
        kind=DifferenceKind.UNDONE_IN_MIFOS,
        said="M-Pesa paid it and Mifos X recorded it; now Mifos X shows: approved, waiting",
        loan=scene.loan,
        attempt_id=scene.attempt.pk,
    )
    follow_up([found], now=timezone.now())
    new = open_new_cycle(
        scene.loan.pk, actor="wanjiru", reason="he gave it back", now=timezone.now()
    )
    scene.shows({"disbursals": (undone,)})
    if is_paid:
        LoanTracking.objects.filter(pk=new.pk).update(
            status=LoanStatus.DISBURSED, mpesa_receipt_number=make_receipt()
        )
        new.refresh_from_db()
        paid = make_attempt(new, status=AttemptStatus.COMPLETED)
        scene.shows({"status_id": 300, "disbursals": (undone, disbursal_of(paid))})

    scene.record()

    assert scene.loan.review_reason == ""
    assert scene.attempt.status == AttemptStatus.COMPLETED
    assert scene.mifos.orders == []
