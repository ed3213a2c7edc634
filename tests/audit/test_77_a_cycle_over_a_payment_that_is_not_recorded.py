"""AUDIT 77: a new cycle is opened over a payment that was never verified in Mifos X, and its review
never ends.

Our record reached Mifos X, its answer was lost, and a person undid it before the next look. The
attempt stays `paid`; a new cycle is opened, paid and recorded. From then on each look for the old
attempt's record finds the new cycle's: "possible double payment", for ever, however often two
people settle it. And the attempt stays open for ever, so the lender's shortcode and host can never
change.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_receipt
from disbursements.tests.peers import disbursal_of
from disbursements.tests.test_record import Scene
from loans.holding import open_new_cycle
from loans.models import LoanStatus, LoanTracking, ReviewReason
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db


def test_the_old_cycle_rests_once_a_new_one_was_paid() -> None:
    scene = Scene()
    undone = disbursal_of(scene.attempt, is_reversed=True)
    scene.shows({"disbursals": (undone,)})
    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.UNDONE_AFTER_PAYMENT
    asked_by = User.objects.create(username="wanjiru").get_username()
    new = open_new_cycle(
        scene.loan.pk, actor=asked_by, reason="he gave it back", now=timezone.now()
    )
    LoanTracking.objects.filter(pk=new.pk).update(
        status=LoanStatus.DISBURSED, mpesa_receipt_number=make_receipt()
    )
    new.refresh_from_db()
    paid = make_attempt(new, status=AttemptStatus.COMPLETED)
    scene.shows({"status_id": 300, "disbursals": (undone, disbursal_of(paid))})

    scene.record()
    if scene.loan.review_reason:  # it is no double payment, and two people say so
        settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
        scene.record()

    assert scene.loan.review_reason == ""
    assert scene.attempt.status == AttemptStatus.COMPLETED
