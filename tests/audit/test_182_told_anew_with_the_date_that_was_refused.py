"""AUDIT 182: what the checker could not approve for its date is posted again with that date.

The date of a record is kept for every repeat under one key, and chosen anew with a new one: the
loan was approved anew meanwhile, say, on a later day. A refusal of the POST does so; a refusal at
the checker's ("error": Fineract rolled the approval back) did not, so that each new command that a
person asks for is refused like the last, and the payment is never recorded.

Nor does a person's word help where a command died in Mifos X, or its answer was lost and its
checker refused it: the key is "under way" for ever (HTTP 425, contracts/mifos.md 6), and it is told
again under the same key.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.checker import tell_again
from disbursements.moves import locked_attempt
from disbursements.tests.peers import FakeMifos
from disbursements.tests.test_record import Scene
from loans.models import ReviewReason
from mifos.client import AwaitingChecker, CommandState, MifosBusy

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


class UnderWayForEver(FakeMifos):
    """The command of the first key died there."""

    def disburse(self, order: Any) -> Any:
        if order.idempotency_key.endswith(":1"):
            self.orders.append(order)
            raise MifosBusy("the same request is still under way, or died there", http_status=425)
        return super().disburse(order)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_dead_key_is_left_on_a_persons_word(is_told: bool) -> None:
    scene = Scene(paid_at=timezone.now() - timedelta(hours=2))
    scene.mifos = UnderWayForEver()
    scene.shows({}, {}, scene.recorded())
    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
    if is_told:
        with locked_attempt(scene.attempt.pk) as (current, loan):
            tell_again(current, loan, actor="asha", now=timezone.now())

    scene.record()

    keys = [order.idempotency_key[-2:] for order in scene.mifos.orders]
    assert keys == [":1", ":2" if is_told else ":1"]
    # The trail says so, too, and the new command's day begins with it.
    assert scene.loan.events.filter(details__record_key_no=2).exists() == is_told


def test_a_command_that_waits_is_not_told_twice() -> None:
    scene = Scene(paid_at=timezone.now() - timedelta(days=2), mifos_command_id=5)
    scene.shows({})
    scene.record()
    assert scene.loan.review_reason == ReviewReason.PAID_NOT_RECORDED
    with locked_attempt(scene.attempt.pk) as (current, loan):
        tell_again(current, loan, actor="asha", now=timezone.now())

    scene.record()

    assert scene.mifos.orders == []
