"""Test amounts: the last two digits of a B2C amount choose what happens, when switched on."""

from __future__ import annotations

from decimal import Decimal

from sandbox.calls import Truth
from sandbox.state import Plan

# digits: (truth, what becomes of the callback, words for the README)
SCENARIOS: dict[int, tuple[Truth | None, Plan | None, str]] = {
    1: (Truth("refuses", "1"), None, "result 1: float is short"),
    17: (Truth("refuses", "17"), None, "result 17, not paid"),
    20: (Truth("refuses", "2001"), None, "result 2001: credential refused"),
    26: (None, Plan("lost"), "silent: paid, callback lost"),
    27: (Truth("never_lands"), None, "silent: accepted, never lands"),
    33: (None, Plan("timeout_then_result", seconds=1.0), "time-out notice, then success"),
    40: (Truth("refuses", "2040"), None, "result 2040: receiver not registered"),
    44: (Truth("refuses", "4"), None, "result 4: daily limit of the customer"),
    48: (Truth("refuses", "8"), None, "result 8: wallet is full"),
    55: (Truth("lands_late", seconds=60.0), None, "accepted, paid after 60 seconds"),
    66: (None, Plan("says_failure", code="17"), "result 17 although paid"),
    77: (None, Plan("before_answer"), "callback before the answer"),
    88: (None, Plan("success_then_failure", code="17", seconds=1.0), "success, then failure"),
    98: (None, Plan("wrong_amount"), "success with another amount"),
    99: (None, Plan("doubled"), "callback twice at once"),
}


def scenario_for(amount: Decimal) -> tuple[Truth | None, Plan | None]:
    found = SCENARIOS.get(int(amount) % 100)
    return (found[0], found[1]) if found is not None else (None, None)
