"""AUDIT 188: whoever has a refused record told again is called to it within the minute.

The checker refuses on Monday what was paid on Friday. A person has Mifos X told by a new command,
which ends the review; the very next look finds the payment older than the patience with checkers
of a day, and calls people for a checker who "has not approved" what was posted a minute ago.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from disbursements.checker import tell_again
from disbursements.moves import locked_attempt
from disbursements.tests.test_record import Scene
from disbursements.unrecorded import CHECKER_PATIENCE
from loans.models import ReviewReason
from mifos.client import AwaitingChecker, CommandState

pytestmark = pytest.mark.django_db
FRIDAY = timezone.now() - timedelta(days=3)


def told_again() -> Scene:
    scene = Scene(mifos_command_id=5, paid_at=FRIDAY)
    scene.shows({})
    scene.mifos.states.append(CommandState.REJECTED)
    scene.record()
    with locked_attempt(scene.attempt.pk) as (current, loan):
        tell_again(current, loan, actor="asha", now=timezone.now())
    scene.answers(AwaitingChecker(command_id=6))
    scene.record()
    return scene


def test_the_new_command_has_a_day_of_its_own() -> None:
    scene = told_again()

    scene.record()

    assert (scene.attempt.mifos_command_id, scene.loan.review_reason) == (6, "")


def test_and_not_more() -> None:
    scene = told_again()

    with time_machine.travel(timezone.now() + CHECKER_PATIENCE + timedelta(hours=1)):
        scene.record()

    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
