"""AUDIT 195: a loan is rejected in Mifos X while its payment is on the way, and its review never
ends.

The borrower has the money, and Mifos X knows no way back from "rejected" or "withdrawn": the lender
books it on a new loan, by hand. Two people settle what is left here, and are called to it again by
the next look, once an hour for ever: whatever is wrong besides stands among reviews that nobody can
end. (Audit 192 is about a loan that somebody disbursed by hand.)
"""

from __future__ import annotations

import pytest

from disbursements.models import AttemptStatus
from disbursements.tests.test_record import Scene
from loans.models import ReviewReason
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
REJECTED, WITHDRAWN, WAITING = 500, 400, 200


def lost_after_payment(*, is_gone: bool = False) -> Scene:
    scene = Scene()
    scene.shows({"status_id": REJECTED})
    if is_gone:
        scene.mifos.loans.clear()
    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
    return scene


@pytest.mark.parametrize("is_gone", [False, True])
def test_two_people_end_it(*, is_gone: bool) -> None:
    scene = lost_after_payment(is_gone=is_gone)
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)

    scene.record()

    assert scene.loan.review_reason == ""
    assert scene.attempt.status == AttemptStatus.PAID  # the books differ still, and say so
    assert scene.mifos.orders == []


def test_another_status_is_news() -> None:
    scene = lost_after_payment()
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    scene.shows({"status_id": WITHDRAWN})

    scene.record()

    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED


def test_it_is_recorded_should_it_wait_again() -> None:
    scene = lost_after_payment()
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    scene.shows({"status_id": WAITING}, scene.recorded())

    scene.record()

    assert scene.attempt.status == AttemptStatus.COMPLETED
