"""Campaign 2: every outcome of every call and every callback, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from campaigns.broken_wires import ROWS, WireFault, breaking, silent_port
from campaigns.play import Job, Outcome, begin, spread
from campaigns.rig import Rig
from campaigns.worlds import LENDERS, SHORTCODES, lenders
from sandbox.calls import Json
from sandbox.faults import CALLBACK_OUTCOMES, H_ROWS, PAYMENT_ONLY
from sandbox.world import SampleWorld

AIM, OTHER = LENDERS
SHORTCODE = SHORTCODES[AIM]
MINE: Json = {"shortcode": SHORTCODE}
OF_AIM: Json = {"tenant": AIM}
TRUTHS = ("pays", "refuses", "never_lands", "lands_late")
REFUSAL = "2040"
# What takes as long as our patience; one of them is enough for a schedule.
SLOW = frozenset({"H08", "H09", "H10", "H17", "H18"})
# More than reliability.md 2.2 names: the sandbox's own spellings of the same rows.
MORE_OF_B2C = (
    *("spike_arrest", "quota", "not_duplicate", "maintenance", "no_product", "token_400"),
    *("token_401", "token_401_short", "token_404", "other_id", "wrong_shape", "empty_body"),
    *("response_code", "nan", "duplicate_keys", "deep_nesting", "gzip_bomb", "slow_headers"),
    *("405", "408", "409", "502", "504"),
)
# Refused by the gateway for certain (contracts/mpesa.md 2.1: moved? no), so no money can follow.
FOR_CERTAIN = frozenset({"H20", "405"})
MORE_OF_DISBURSE = ("409", "locked", "no_id", "wrong_shape", "empty_body", "404", "502", "504")
READS: dict[str, str] = {
    "E1": "loans_list",
    "E2": "loan",
    "E3": "client",
    "E4a": "businessdate",
    "E4b": "authentication",
    "E4c": "paymenttypes",
    "E4d": "holidays",
    "E4e": "workingdays",
    "E4f": "configurations",
}
# A whole receipt, amount, phone and id for what was not paid is a rail that lies: rule 8 believes
# it, and only the statement can tell (reconcile).
LIES = frozenset({"says_success", "success_then_failure", "failure_then_success"})
STATES = ("accepted", "submitting", "unknown")


@dataclass(frozen=True, kw_only=True)
class FaultSchedule:
    """Some rules of the sandbox or one broken wire; then healing."""

    name: str
    rules: tuple[Json, ...] = ()
    wire: WireFault | None = None
    passes: int = 2  # before the healing
    options: Json = field(default_factory=dict)
    bystanders: frozenset[str] = frozenset({OTHER})
    after: str = ""


def schedules() -> dict[str, FaultSchedule]:
    """Return all of them by name, in a fixed order."""
    parts = (_reads, _tokens, _payments, _questions, _records, _letters, _afters)
    return {schedule.name: schedule for part in parts for schedule in part()}


def plan(rig: Rig, *, seed: int, count: int | None, short: bool) -> list[Job]:
    """Name the schedules to play: all, or `count` of them spread over the list."""
    names = list(schedules())
    return spread([(name, seed) for name in names], count or (6 if short else None))


def play(rig: Rig, name: str, seed: int) -> Outcome:
    """Play one schedule and return what came of it."""
    schedule = schedules()[name]
    world = lenders(loans=6, seed=seed, unpayable=1)
    outcome = Outcome(campaign="faults", name=schedule.name, seed=seed)
    running = begin(rig, outcome, world, **schedule.options)
    running.bystanders = schedule.bystanders
    for given in schedule.rules:
        rule = given
        if rule["outcome"] == "H05" and rule["call"] in ("b2c", "status"):
            # It strikes before the body is read, so nobody knows yet whose call it is.
            rule, running.bystanders = {**rule, "match": {}}, frozenset()
        rig.sandbox.add_fault(**_aimed(rule, world))
    outcome.armed = len(schedule.rules) + (schedule.wire is not None)
    with silent_port() as silent:
        if schedule.wire is not None:
            wire = _aimed_wire(schedule.wire, world)
            running.settings = breaking(wire, rig.shared, silent)
        running.run_passes(schedule.passes)
    wires = int(rig.shared.get("wires"))
    if schedule.wire is not None and wires:
        outcome.fired[f"{schedule.wire.call}:{schedule.wire.row}"] = wires
    running.heal()
    running.until_quiet()
    _after(rig, schedule.after, world)
    running.aftermath()
    if schedule.after:
        outcome.fired[schedule.after] = 1
        running.touched |= {first_loan(world)}
    return running.judge()


def first_loan(world: SampleWorld) -> tuple[str, int]:
    """Return the first loan of the lender that the faults are aimed at."""
    return next((row.tenant, row.loan_id) for row in world.payable if row.tenant == AIM)


def _aimed(rule: Json, world: SampleWorld) -> Json:
    match = dict(rule.get("match", {}))
    if "loan_id" in match:
        match["loan_id"] = first_loan(world)[1]
    return {**rule, "match": match}


def _aimed_wire(wire: WireFault, world: SampleWorld) -> WireFault:
    if wire.loan_id is None:
        return wire
    return WireFault(**{**_fields(wire), "loan_id": first_loan(world)[1]})


def _fields(wire: WireFault) -> dict[str, Any]:
    return {name: getattr(wire, name) for name in WireFault.__slots__}


def _times(row: str) -> int:
    return 1 if row in SLOW or row.startswith(("slow", "gzip")) else 2


def _reads() -> Iterator[FaultSchedule]:
    """E1–E4: what is only read. A fault costs its own loan one pass, and nobody else anything."""
    for label, call in READS.items():
        for row in H_ROWS:
            rule: Json = {
                "call": call,
                "outcome": row,
                "match": OF_AIM,
                "times": _times(row),
            }
            yield FaultSchedule(name=f"{label}/{call}/{row}", rules=(rule,))
        for row in ROWS:
            wire = WireFault(call=call, row=row, lender=AIM, times=1 if row == "H03" else 2)
            yield FaultSchedule(name=f"{label}/{call}/{row}", wire=wire)


def _tokens() -> Iterator[FaultSchedule]:
    for row in (*H_ROWS, "token_400", "empty_body", "nan", "gzip_bomb", "spike_arrest"):
        rule: Json = {"call": "oauth", "outcome": row, "times": _times(row)}
        yield FaultSchedule(name=f"E5/oauth/{row}", rules=(rule,), bystanders=frozenset())
    for row in ROWS:
        wire = WireFault(call="oauth", row=row, lender=AIM, times=1)
        yield FaultSchedule(name=f"E5/oauth/{row}", wire=wire)


def _payments() -> Iterator[FaultSchedule]:
    """E6: the call that pays, with each truth behind each thing the caller may be told."""
    for truth in TRUTHS:
        for row in (*H_ROWS, *MORE_OF_B2C):
            if row in FOR_CERTAIN and truth != "never_lands":
                continue
            rule: Json = {"call": "b2c", "outcome": row, "match": MINE}
            rule |= {"times": _times(row), "truth": truth}
            if truth == "refuses":
                rule["code"] = REFUSAL
            late = truth == "lands_late"
            yield FaultSchedule(
                name=f"E6/b2c/{row}/{truth}", rules=(rule,), passes=4 if late else 2
            )
    for row in ROWS:
        wire = WireFault(call="b2c", row=row, lender=AIM, times=1 if row == "H03" else 2)
        yield FaultSchedule(name=f"E6/b2c/{row}", wire=wire)


def _questions() -> Iterator[FaultSchedule]:
    """E7: the status query of a payment whose callback was lost, whatever became of it."""
    silence: Json = {
        "call": "callback",
        "outcome": "lost",
        "match": MINE,
        "times": 2,
    }
    for truth in TRUTHS:
        payment = _unanswered(truth, times=2)
        for row in (*H_ROWS, "no_product", "token_404", "wrong_shape", "empty_body"):
            rule: Json = {"call": "status", "outcome": row, "match": MINE}
            rule["times"] = _times(row)
            yield FaultSchedule(
                name=f"E7/status/{row}/{truth}", rules=(payment, silence, rule), passes=3
            )
    for row in ROWS:
        wire = WireFault(call="status", row=row, lender=AIM, times=1)
        yield FaultSchedule(name=f"E7/status/{row}", rules=(silence,), wire=wire, passes=3)


def _records() -> Iterator[FaultSchedule]:
    """E8 and E9: telling Mifos X, and looking whether it shows."""
    for truth in ("pays", "never_lands", "lands_late"):
        for row in (*H_ROWS, *MORE_OF_DISBURSE):
            rule: Json = {"call": "disburse", "outcome": row, "match": OF_AIM}
            rule |= {"times": _times(row), "truth": truth}
            yield FaultSchedule(name=f"E8/disburse/{row}/{truth}", rules=(rule,), passes=3)
    for row in H_ROWS:
        match = {"tenant": AIM, "loan_id": 0}
        rule = {"call": "loan", "outcome": row, "match": match, "nth": 3}
        yield FaultSchedule(name=f"E9/verify/{row}", rules=(rule,), passes=3)
    for row in ROWS:
        wire = WireFault(call="disburse", row=row, lender=AIM, times=1)
        yield FaultSchedule(name=f"E8/disburse/{row}", wire=wire, passes=3)
        verify = WireFault(call="loan", row=row, lender=AIM, loan_id=0, nth=3, times=1)
        yield FaultSchedule(name=f"E9/verify/{row}", wire=verify, passes=3)


def _letters() -> Iterator[FaultSchedule]:
    """C01–C17: each fault of a callback, for each truth, in each state it can arrive in."""
    for outcome in sorted(CALLBACK_OUTCOMES):
        for truth in _truths_of(outcome):
            for state in STATES:
                yield _letter(outcome, truth, state)
    for outcome in sorted(CALLBACK_OUTCOMES - PAYMENT_ONLY):
        for truth in TRUTHS:
            yield _answer(outcome, truth)


def _truths_of(outcome: str) -> tuple[str, ...]:
    """What never lands has no letter; one before the answer cannot tell of what lands after it."""
    if outcome in LIES:
        return ("pays",)
    return ("pays", "refuses") if outcome == "before_answer" else ("pays", "refuses", "lands_late")


def _letter(outcome: str, truth: str, state: str) -> FaultSchedule:
    told = "normal" if state == "accepted" else "timeout"
    payment: Json = {
        "call": "b2c",
        "outcome": told,
        "match": MINE,
        "truth": truth,
    }
    if truth == "refuses":
        payment["code"] = REFUSAL
    if truth == "lands_late":
        payment["seconds"] = 0.4  # before the healing, or its letter would come unspoiled
    letter: Json = {"call": "callback", "outcome": outcome, "match": MINE}
    letter |= {"times": 1, "seconds": 0.3}
    delay = 0.7 if state == "unknown" else 0.02
    return FaultSchedule(
        name=f"C/{outcome}/{truth}/{state}",
        rules=(payment, letter),
        options={"callback_delay": delay, "query_delay": 0.02},
        passes=3,
    )


def _unanswered(truth: str, *, times: int) -> Json:
    """A payment that is asked for in vain: nobody hears what became of it."""
    rule: Json = {"call": "b2c", "outcome": "timeout", "match": MINE, "truth": truth}
    return rule | {"times": times} | ({"code": REFUSAL} if truth == "refuses" else {})


def _answer(outcome: str, truth: str) -> FaultSchedule:
    told = _unanswered(truth, times=1)
    silence: Json = {
        "call": "callback",
        "outcome": "lost",
        "match": MINE,
        "times": 1,
    }
    answer: Json = {
        "call": "status_callback",
        "outcome": outcome,
        "match": MINE,
    }
    answer |= {"times": 1, "seconds": 0.3}
    return FaultSchedule(name=f"Q/{outcome}/{truth}", rules=(told, silence, answer), passes=3)


def _afters() -> Iterator[FaultSchedule]:
    """C18, M17, M18: undone after all was well. Never paid again by itself."""
    for after in ("reversed", "undone", "undone_and_approved_again"):
        yield FaultSchedule(name=f"after/{after}", after=after)


def _after(rig: Rig, what: str, world: SampleWorld) -> None:
    if not what:
        return
    tenant, loan_id = first_loan(world)
    if what == "reversed":
        debits = rig.sandbox.debits()
        rig.sandbox.reverse(next(row["receipt"] for row in debits if row["shortcode"] == SHORTCODE))
    else:
        rig.sandbox.command(tenant, loan_id, "undodisbursal")
    if what == "undone_and_approved_again":
        rig.sandbox.command(tenant, loan_id, "undoapproval")
        rig.one_pass()
        rig.sandbox.command(tenant, loan_id, "approve")
    rig.one_pass()
