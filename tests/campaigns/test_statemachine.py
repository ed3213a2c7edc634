"""Anything may happen in any order, and the money stays right (reliability.md 4.2)."""

from __future__ import annotations

import os

import pytest
from django.db import connection
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from campaigns.machine import NAMES
from campaigns.statemachine import EXAMPLES, MACHINES, STEPS, profile
from campaigns.statemachine_rules import seen

SEED = int(os.environ.get("LOANPOLL_MACHINE_SEED", "0"))
# PostgreSQL has the same rules and takes four times as long: what may differ shows in fewer.
EXAMPLES_ON_POSTGRESQL = 25


def examples() -> int:
    is_short = connection.vendor != "sqlite" and "LOANPOLL_MACHINE_EXAMPLES" not in os.environ
    return EXAMPLES_ON_POSTGRESQL if is_short else EXAMPLES


@pytest.mark.campaign
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_order_of_events_breaks_a_promise(name):
    seen.clear()
    run_state_machine_as_test(
        seed(SEED)(MACHINES[name]), settings=profile(examples=examples(), steps=STEPS)
    )
    print()
    for what, times in sorted(seen.items()):
        print(f"{times:7} {what}")


def test_every_machine_has_its_name():
    assert set(MACHINES) == set(NAMES)
