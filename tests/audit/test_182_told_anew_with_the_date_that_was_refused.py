"""AUDIT 182: what the checker could not approve for its date is posted again with that date.

The date of a record is kept for every repeat under one key, and chosen anew with a new one: the
loan was approved anew meanwhile, say, on a later day. A refusal of the POST does so; a refusal at
the checker's ("error": Fineract rolled the approval back) did not, so that each new command that a
person asks for is refused like the last, and the payment is never recorded.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.moves import locked_attempt
from disbursements.record import tell_again
from disbursements.tests.test_record import Scene
from mifos.client import AwaitingChecker, CommandState

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate()


def test_the_new_command_has_a_date_of_its_own() -> None:
    paid_at = timezone.now() - timedelta(days=2)
    scene = Scene(paid_at=paid_at, last_sent_at=paid_at)
    scene.shows({"approved_on": timezone.localdate(paid_at)})
    scene.answers(AwaitingChecker(command_id=5), AwaitingChecker(command_id=6))
    scene.record()
    scene.shows({"approved_on": TODAY})  # its approval was undone, and given anew
    scene.mifos.states.append(CommandState.REJECTED)
    scene.record()
    with locked_attempt(scene.attempt.pk) as (current, loan):
        tell_again(current, loan, actor="asha", now=timezone.now())

    scene.record()

    assert [order.on for order in scene.mifos.orders] == [timezone.localdate(paid_at), TODAY]
