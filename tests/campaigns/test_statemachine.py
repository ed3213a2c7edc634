"""Anything may happen in any order, and the money stays right (reliability.md 4.2)."""

from __future__ import annotations

import os

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from campaigns.statemachine import EXAMPLES, MACHINES, STEPS, profile
from campaigns.statemachine_rules import seen

SEED = int(os.environ.get("LOANPOLL_MACHINE_SEED", "0"))


@pytest.mark.campaign
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", sorted(MACHINES))
def test_no_order_of_events_breaks_a_promise(name):
    seen.clear()
    run_state_machine_as_test(
        seed(SEED)(MACHINES[name]), settings=profile(examples=EXAMPLES, steps=STEPS)
    )
    for what, times in sorted(seen.items()):
        print(f"{times:7} {what}")
