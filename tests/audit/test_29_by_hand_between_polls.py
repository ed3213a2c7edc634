"""AUDIT 29 (27 over real HTTP): paid in cash and undone in Mifos X before our poll; paid again."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import Stage, open_stage, stage

__all__ = ["open_stage", "stage"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_loan_disbursed_by_hand_and_undone_between_two_polls_waits_for_a_person(
    stage: Stage,
) -> None:
    for command in ("disburse", "undodisbursal"):
        done = stage.sandbox.command(stage.tenant, stage.first, command)
        assert done["status"] == 200, done

    stage.sync(3)

    assert stage.sandbox.debits() == []
