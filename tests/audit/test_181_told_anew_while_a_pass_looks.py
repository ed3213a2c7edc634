"""AUDIT 181: the refusal of an old command is written on a new one, or wipes it out.

A pass asks what became of command 5. Meanwhile a person has Mifos X told by a new command. The
pass then writes "the checker rejected the record" on a loan whose new command waits: people are
called to what they have just answered, and each further press posts one more command. Or it had
read that command 5 is another loan's: it forgets the new one, which is posted once more.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from disbursements.checker import tell_again
from disbursements.moves import locked_attempt
from disbursements.record import Books, record_one
from disbursements.tests.peers import FakeMifos
from disbursements.tests.test_record import Scene
from mifos.client import AwaitingChecker, CommandState

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "said", [CommandState.REJECTED, CommandState.GONE, CommandState.OF_ANOTHER_LOAN]
)
def test_what_became_of_the_old_command_is_not_said_of_the_new_one(said: CommandState) -> None:
    scene = Scene(mifos_command_id=5)
    scene.shows({})
    scene.mifos.states.append(CommandState.REJECTED)
    scene.record()  # a person is called
    pk = scene.attempt.pk

    class APersonIsFaster(FakeMifos):
        def command_state(self, command_id: int, *, loan_id: int) -> Any:
            with locked_attempt(pk) as (current, loan):
                tell_again(current, loan, actor="asha", now=timezone.now())
            scene.answers(AwaitingChecker(command_id=6))
            record_one(pk, Books(partner=scene.partner, mifos=scene.mifos))
            return said

    slow: Any = APersonIsFaster(loans=scene.mifos.loans)
    scene.attempt._meta.model.objects.update(next_record_at=timezone.now())
    record_one(pk, Books(partner=scene.partner, mifos=slow))

    scene.attempt.refresh_from_db()
    scene.loan.refresh_from_db()
    assert len(scene.mifos.orders) == 1
    assert (scene.attempt.mifos_command_id, scene.loan.review_reason) == (6, "")
