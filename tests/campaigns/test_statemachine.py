"""Anything may happen in any order, and the money stays right (reliability.md 4.2)."""

from __future__ import annotations

import os

import pytest
from django.db import connection
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from campaigns.machine import NAMES
from campaigns.statemachine import EXAMPLES, MACHINES, STEPS, profile
from campaigns.statemachine_rules import HouseMachine, seen

SEED = int(os.environ.get("LOANPOLL_MACHINE_SEED", "0"))
# Four times 20 long examples that come to rest, and these short ones, are the 2,000 of a test run.
# An example of `callback` or `record` takes three times as long as one of the others.
SHORT_EXAMPLES = {"payout": 700, "callback": 260, "record": 260, "operators": 700}
SHORT_STEPS, SHORT_RESTS_ONE_IN = 4, 6
# PostgreSQL has the same rules and takes four times as long: what may differ shows in fewer.
SHORT_EXAMPLES_ON_POSTGRESQL = 40


def short_examples(name: str) -> int:
    on_sqlite = connection.vendor == "sqlite"
    return SHORT_EXAMPLES[name] if on_sqlite else SHORT_EXAMPLES_ON_POSTGRESQL


@pytest.mark.campaign
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_order_of_events_breaks_a_promise(name):
    seen.clear()
    run_state_machine_as_test(
        seed(SEED)(MACHINES[name]), settings=profile(examples=EXAMPLES, steps=STEPS)
    )
    print()
    for what, times in sorted(seen.items()):
        print(f"{times:7} {what}")


@pytest.mark.campaign
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_short_order_of_events_breaks_a_promise(name, monkeypatch):
    monkeypatch.setattr(HouseMachine, "rests_one_in", SHORT_RESTS_ONE_IN)
    before = seen["examples"]

    run_state_machine_as_test(
        seed(SEED + 1)(MACHINES[name]),
        settings=profile(examples=short_examples(name), steps=SHORT_STEPS),
    )

    assert seen["examples"] - before >= short_examples(name)


def test_every_machine_has_its_name_and_together_they_play_two_thousand_examples():
    assert set(MACHINES) == set(NAMES) == set(SHORT_EXAMPLES)
    assert len(NAMES) * EXAMPLES + sum(SHORT_EXAMPLES.values()) >= 2000
