"""The demo that goes on until Ctrl-C: the same story, in its own time, and then an ordinary day."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from demo.cast import FIRST_CLIENT, FIRST_LOAN, SUBMITTED, client_name, phone_number
from demo.lenders import BIASHARA, EMERGENCY
from demo.scenes import SCENES
from demo.stage import Stage, StoryStuck
from disbursements.retry import RetryRefused
from loans.approvals import ApprovalRefused
from loans.holding import HoldRefused
from sandbox.control import SandboxError

PASS_EVERY_SECONDS = 2.0
NEW_LOAN_EVERY = 2  # passes
FIRST_NEW = 500  # counted on from there, so that no new client meets one of the story
LENDERS = ("umoja", "umoja", "tumaini")
AMOUNTS = (7_500, 12_000, 22_500, 5_000, 38_000, 16_500, 9_000, 27_000)
REFUSALS = (ApprovalRefused, HoldRefused, RetryRefused)
# An ordinary day has its lost and doubled letters, too.
MISHAPS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"call": "callback", "outcome": "lost"},
    None,
    None,
    {"call": "callback", "outcome": "doubled"},
    None,
    {"call": "b2c", "outcome": "reset_after"},
)


def play_live(stage: Stage, *, until: float | None) -> None:
    """Play the scenes a few seconds apart, approving new loans meanwhile. Ends by Ctrl-C.

    `until` (monotonic seconds) ends it by itself.
    """
    scenes = iter(SCENES)
    arrivals = new_loans(stage)
    for turn in itertools.count():
        for act in (next(scenes, None), Stage.run_pass):
            if act is not None:
                _play(stage, act)
        if turn % NEW_LOAN_EVERY == 0:
            next(arrivals)
        if not _rest(stage, until=until):
            return


def _play(stage: Stage, scene: Callable[[Stage], None]) -> None:
    """Whoever looks on may have done something else with the loan of a scene: go on then."""
    try:
        scene(stage)
    except (StoryStuck, SandboxError, TimeoutError, *REFUSALS) as exc:
        stage.teller.act(f"this scene went another way: {exc}")


def new_loans(stage: Stage) -> Iterator[int]:
    """Have one more loan approved in Mifos X at each step."""
    for step in itertools.count():
        number = FIRST_NEW + step
        lender = LENDERS[step % len(LENDERS)]
        loan_id, client_id = FIRST_LOAN + number, FIRST_CLIENT + number
        phone = phone_number(number)
        stage.box.add_clients(
            lender, [{"id": client_id, "name": client_name(number), "mobile_no": phone}]
        )
        stage.box.add_loans(lender, [_application(step, loan_id, client_id)])
        mishap = MISHAPS[step % len(MISHAPS)]
        if mishap is not None:
            stage.box.add_fault(**mishap, match={"msisdn": f"254{phone[1:]}"})
        stage.box.command(lender, loan_id, "approve")
        stage.teller.act(f"an officer approves loan {loan_id} of {lender} in Mifos X")
        yield loan_id


def _application(step: int, loan_id: int, client_id: int) -> dict[str, Any]:
    amount = AMOUNTS[step % len(AMOUNTS)]
    return {
        "id": loan_id,
        "client_id": client_id,
        "product_id": EMERGENCY if amount < 10_000 else BIASHARA,
        "principal": str(amount),
        "charges": str(amount // 100 * 2),
        "status": SUBMITTED,
    }


def _rest(stage: Stage, *, until: float | None) -> bool:
    """Wait for the next pass, telling what callbacks bring meanwhile. False = it is time to end."""
    rest_until = time.monotonic() + PASS_EVERY_SECONDS
    while time.monotonic() < rest_until:
        if until is not None and time.monotonic() >= until:
            return False
        time.sleep(0.25)
        stage.teller.follow()
    return True
