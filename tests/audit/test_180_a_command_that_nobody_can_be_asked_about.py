"""AUDIT 180: a record waits for a checker for ever, and nobody is called.

A command that its checker deleted is "gone" if Mifos X answers 404. Fineract itself reads an audit
with `queryForObject`, and answers a missing one with HTTP 500: that reads as "Mifos X could not be
reached", though the loan was read a moment before, and is asked about for ever without a person. So
is a server that goes on naming another loan's command: each turn posts and forgets, and no patience
ends it. And a 404 that is not Fineract's (a proxy without /audits) says nothing of the command: it
must not call people to a record "that Mifos X no longer knows", who then post a second one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.tests.test_record import Scene
from disbursements.unrecorded import CHECKER_PATIENCE
from loans.models import ReviewReason
from mifos.client import AwaitingChecker, CommandState, MifosClient, MifosUnreachable
from mifos.tests.conftest import BASE, http, mifos

__all__ = ["http", "mifos"]
pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - CHECKER_PATIENCE - timedelta(hours=1)
SILENT = MifosUnreachable("Mifos X answered HTTP 500 while reading command 5")


@pytest.mark.parametrize("said", [SILENT, CommandState.OF_ANOTHER_LOAN])
@pytest.mark.parametrize("is_late", [True, False])
def test_a_person_is_called_after_a_day(said: Any, is_late: bool) -> None:
    times = {"paid_at": LONG_AGO} if is_late else {}
    scene = Scene(mifos_command_id=5, **times)
    scene.shows({})
    scene.mifos.states.extend([said] * 9)
    scene.answers(*[AwaitingChecker(command_id=5)] * 9)

    for _ in range(4):
        assert not scene.record()

    assert scene.loan.review_reason == (ReviewReason.PAID_NOT_RECORDED if is_late else "")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "body": "<html>nginx</html>"},
        {"json": {"loanId": [], "processingResult": "processed"}},
    ],
)
def test_what_is_no_answer_of_fineracts_says_nothing_of_the_command(
    answer: dict[str, Any], mifos: MifosClient, http: Any
) -> None:
    http.get(f"{BASE}/audits/4411", **answer)

    with pytest.raises(MifosUnreachable):
        mifos.command_state(4411, loan_id=3198)
