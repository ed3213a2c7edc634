"""The page of memory between the lives of a campaign."""

from __future__ import annotations

import os

from campaigns.shared import Shared

WRITES = 200_000


def test_a_number_that_another_life_writes_is_never_seen_half_written():
    shared = Shared()
    shared.set("clock", 300)
    shared.set("commits", 1)
    pid = os.fork()
    if not pid:
        for _ in range(WRITES):
            shared.set("clock", 300)
        shared.set("commits", 0)
        os._exit(0)

    seen = set()
    while shared.get("commits"):
        seen.add(shared.get("clock"))
    os.waitpid(pid, 0)

    assert seen == {300}


def test_a_sum_is_what_the_adder_made_of_it():
    shared = Shared()

    assert (shared.add("pass"), shared.add("pass", 2)) == (1, 3)

    shared.clear()

    assert shared.get("pass") == 0
