"""AUDIT 201: what two people have settled is called to again, by the second look.

A paid loan was rejected in Mifos X; two people have settled it, and nobody should be called to it
again (audit 195). The next look writes "The loan is paid, and in Mifos X it has status 500" as a
plain line, which reads as if people had been told anew: the look after that calls them. Each
settlement keeps them away for one hour.
"""

from __future__ import annotations

import pytest

from disbursements.models import AttemptStatus
from tests.audit.test_31_mends_of_the_first import settle_by_people
from tests.audit.test_195_paid_and_can_never_be_recorded import lost_after_payment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("is_gone", [False, True])
def test_it_stays_settled(*, is_gone: bool) -> None:
    scene = lost_after_payment(is_gone=is_gone)
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)

    for _ in range(3):
        scene.record()

    assert scene.loan.review_reason == ""
    assert scene.attempt.status == AttemptStatus.PAID
