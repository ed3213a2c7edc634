"""Campaign 3: a life is killed at every commit and every step on the network."""

from __future__ import annotations

from dataclasses import dataclass

from campaigns.play import Job, Outcome, Play, begin, spread
from campaigns.rig import Rig
from campaigns.worlds import LENDERS, SHORTCODES, lenders
from sandbox.calls import Json

KINDS = ("pass", "web")
PASSES = 3
ALL = {"match": {"shortcode": SHORTCODES[LENDERS[0]]}, "times": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """When the results of the five payments come."""

    rules: tuple[Json, ...] = ()
    held: bool = False  # until the first pass is over


MODES: dict[str, Mode] = {
    "between": Mode(held=True),
    "before": Mode(rules=({"call": "callback", "outcome": "before_answer", **ALL},)),
    "never": Mode(rules=({"call": "callback", "outcome": "lost", **ALL},)),
    "refused": Mode(
        rules=({"call": "b2c", "outcome": "normal", "truth": "refuses", "code": "2040", **ALL},),
        held=True,
    ),
    "landing_late": Mode(
        rules=({"call": "b2c", "outcome": "503_before", "truth": "lands_late", **ALL},),
    ),
}


def plan(rig: Rig, *, seed: int, count: int | None, short: bool) -> list[Job]:
    """Number every boundary by running each mode once, unharmed; one schedule per boundary."""
    names = []
    for mode in list(MODES)[:2] if short else MODES:
        play_mode(rig, mode, seed)
        for kind in KINDS:
            most = int(rig.shared.get(kind))
            names += [f"{mode}/{kind}/{number}" for number in range(1, most + 1)]
    return spread([(name, seed) for name in names], count or (6 if short else None))


def play(rig: Rig, name: str, seed: int) -> Outcome:
    """Kill at one boundary, then let cron go on."""
    mode, kind, number = name.split("/")
    running = play_mode(rig, mode, seed, kill=(kind, int(number)))
    running.outcome.name = name
    running.heal()
    labels = [line for line in rig.nursery.take_trace() if line.startswith(f"{kind} {number} ")]
    running.outcome.fired = {f"{mode} {labels[0].split(' ', 2)[2]}": 1} if rig.kills else {}
    running.outcome.armed = 1
    running.until_quiet()
    running.aftermath()
    return running.judge()


def play_mode(rig: Rig, mode: str, seed: int, kill: tuple[str, int] | None = None) -> Play:
    """Run the passes of one mode on one lender's five loans; `kill` = (kind of life, boundary)."""
    world = lenders(loans=6, seed=seed, unpayable=1, tenants=1)
    chosen = MODES[mode]
    outcome = Outcome(campaign="kills", name=mode, seed=seed)
    running = begin(rig, outcome, world, hold_callbacks=chosen.held)
    rig.engine.tables().run("UPDATE partners SET is_active = false WHERE slug = %s", (LENDERS[1],))
    for rule in chosen.rules:
        rig.sandbox.add_fault(**rule)
    if kill is not None:
        rig.shared.set(f"kill_{kill[0]}", kill[1])
    for _ in range(PASSES):
        rig.one_pass()
        if chosen.held:
            rig.sandbox.options(hold_callbacks=False)
            rig.sandbox.release_callbacks()
            rig.settle()
    return running
