"""AUDIT 202: who is called to what is paid for a day and not recorded: too soon, or never.

Too soon: a checker rejects a record two days after the payment, and a person has Mifos X told by a
new command, which has a day of its own (audit 188). The next pass calls people to it all the same,
a minute later and with the checker's old refusal for its cause (audit 196).

Never: two people settled something else of it (a charge that was changed). From then on nobody is
told that its lender's Mifos X is closed to us.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import DisbursementRequest
from disbursements.tests.test_record import Scene
from disbursements.unrecorded import call_to_unrecorded
from loans.models import ReviewReason
from loans.review import raise_review
from mifos.client import MifosCredentials
from tests.audit.test_31_mends_of_the_first import settle_by_people
from tests.audit.test_188_called_for_a_command_of_a_moment_ago import told_again

pytestmark = pytest.mark.django_db
TWO_DAYS = timedelta(days=2)


def call(scene: Scene, *, later: timedelta = timedelta()) -> str:
    call_to_unrecorded(scene.partner, now=timezone.now() + later)
    scene.loan.refresh_from_db()
    return scene.loan.review_reason


def paid_long_ago(**columns: object) -> Scene:
    return Scene(paid_at=timezone.now() - TWO_DAYS, **columns)


def test_a_new_command_has_its_day() -> None:
    scene = told_again()  # of what was paid three days ago

    assert call(scene) == ""
    assert call(scene, later=timedelta(hours=25)) == ReviewReason.PAID_NOT_RECORDED


def test_what_was_settled_of_something_else_silences_nothing() -> None:
    scene = paid_long_ago()
    raise_review(
        scene.loan.pk,
        ReviewReason.BOOKS_DIFFER,
        message="a charge was changed",
        now=timezone.now(),
        disbursement_request_id=scene.attempt.pk,
    )
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    scene.mifos.loans[scene.loan.loan_id] = MifosCredentials("Mifos X does not accept the password")
    scene.record()

    assert call(scene) == ReviewReason.PAID_NOT_RECORDED


def test_what_was_settled_of_this_is_over() -> None:
    scene = paid_long_ago()
    assert call(scene) == ReviewReason.PAID_NOT_RECORDED
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)

    assert call(scene) == ""
    assert DisbursementRequest.objects.get().status == "paid"
