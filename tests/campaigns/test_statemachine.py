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
# Four machines times (20 long ones that come to rest + 480 short ones) are the 2,000 of a test run.
SHORT_EXAMPLES, SHORT_STEPS, SHORT_RESTS_ONE_IN = 480, 4, 6
# PostgreSQL has the same rules and takes four times as long: what may differ shows in fewer.
SHORT_EXAMPLES_ON_POSTGRESQL = 40


def short_examples() -> int:
    return SHORT_EXAMPLES if connection.vendor == "sqlite" else SHORT_EXAMPLES_ON_POSTGRESQL


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
        settings=profile(examples=short_examples(), steps=SHORT_STEPS),
    )

    assert seen["examples"] - before >= short_examples()


def test_every_machine_has_its_name():
    assert set(MACHINES) == set(NAMES)
