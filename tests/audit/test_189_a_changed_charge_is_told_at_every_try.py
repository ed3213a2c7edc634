"""AUDIT 189: two people settle that a charge was changed, and each further try calls them again.

Before each POST the net payout is compared with what was paid. While the POST is refused or busy,
or each time that a person has a refused record told anew, the same difference is raised once more,
however often two people have settled it; and as long as it stands, it hides that the checker has
refused the record, so that "Tell Mifos X again" tells nothing.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements.checker import tell_again
from disbursements.moves import locked_attempt
from disbursements.tests.test_record import Scene
from loans.models import ReviewReason
from mifos.client import AwaitingChecker, CommandState, MifosBusy
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db
CHANGED = {"net_disbursal_amount": Decimal(12_000)}


def settled() -> Scene:
    scene = Scene()
    scene.shows(CHANGED)
    scene.answers(MifosBusy("Mifos X was busy"))
    scene.record()
    assert scene.loan.review_reason == ReviewReason.BOOKS_DIFFER
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    return scene


def test_the_next_try_calls_nobody_again() -> None:
    scene = settled()
    scene.answers(MifosBusy("Mifos X was busy"))

    scene.record()

    assert scene.loan.review_reason == ""


def test_nor_does_a_record_that_is_told_anew() -> None:
    scene = settled()
    scene.answers(AwaitingChecker(command_id=5), AwaitingChecker(command_id=6))
    scene.record()
    scene.mifos.states.extend([CommandState.REJECTED] * 2)
    scene.record()
    assert scene.loan.review_reason == ReviewReason.CHECKER_REJECTED
    with locked_attempt(scene.attempt.pk) as (current, loan):
        tell_again(current, loan, actor="asha", now=timezone.now())
    scene.record()

    scene.record()  # the checker refuses again, and that is what is to be seen

    assert scene.loan.review_reason == ReviewReason.CHECKER_REJECTED


def test_another_change_is_news() -> None:
    scene = settled()
    scene.shows({"net_disbursal_amount": Decimal(11_000)})
    scene.answers(MifosBusy("Mifos X was busy"))

    scene.record()

    assert scene.loan.review_reason == ReviewReason.BOOKS_DIFFER
