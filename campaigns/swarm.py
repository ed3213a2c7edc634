"""Campaign 5: seeded schedules that mix everything; each seed takes another handful of evils."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from campaigns.lives import Life
from campaigns.people import (
    approving,
    calling,
    holding,
    hook_call,
    reconciling,
    resolving,
    retrying,
    sync_call,
)
from campaigns.play import Job, Outcome, Play, begin, spread
from campaigns.rig import Rig
from campaigns.worlds import LENDERS, SHORTCODES, lenders
from sandbox.calls import Json
from sandbox.faults import CALLBACK_OUTCOMES, H_ROWS, PAYMENT_ONLY
from sandbox.world import SampleLoan

DEFAULT_COUNT = 300
SLOW = frozenset({"H08", "H09", "H10", "H17", "H18"})
# As in campaign 2: what would be a rail that lies, or money after a certain refusal.
LIES = ("says_success", "success_then_failure", "failure_then_success", "to_url")
READS = (
    *("loans_list", "loan", "client", "businessdate", "authentication", "paymenttypes"),
    *("holidays", "workingdays", "configurations"),
)
CODES = ("1", "4", "8", "17", "2001", "2040", "21", "SFC_IC0003", "26", "100000000", "9999")
Act = Callable[[Play, random.Random], None]


def plan(rig: Rig, *, seed: int, count: int | None, short: bool) -> list[Job]:
    """Seeds from `seed` on, none picked."""
    total = count or (4 if short else DEFAULT_COUNT)
    return spread([(f"seed-{seed + number}", seed + number) for number in range(total)], None)


def play(rig: Rig, name: str, seed: int) -> Outcome:
    """Play the schedule of one seed."""
    chance = random.Random(seed)
    world = lenders(loans=chance.randint(4, 9), seed=seed, unpayable=chance.randint(1, 2))
    outcome = Outcome(campaign="random", name=name, seed=seed)
    running = begin(rig, outcome, world, threaded=True, **_options(chance))
    running.allowed_errors = ()
    _configure(rig, chance)
    _arm(rig, outcome, chance)
    for _ in range(chance.randint(1, 4)):
        _one_round(running, chance)
    if outcome.kills or rig.kills:
        outcome.fired["kill -9"] = rig.kills
    running.heal()
    _mend(running)
    running.until_quiet()
    running.aftermath()
    return running.judge()


def _options(chance: random.Random) -> Json:
    return {
        "callback_delay": chance.choice((0.0, 0.01, 0.1, 0.5)),
        "query_delay": chance.choice((0.0, 0.02, 0.3)),
        "hold_callbacks": chance.random() < 0.2,
        "index_delay": chance.choice((0.0, 0.0, 0.5)),
    }


def _configure(rig: Rig, chance: random.Random) -> None:
    tables = rig.engine.tables()
    changes = (
        (0.5, "UPDATE partners SET mifos_concurrency = 4"),
        (0.2, "UPDATE partners SET resend_unknown = false"),
        (0.2, "UPDATE partners SET daily_limit = 70000 WHERE slug = 'lender1'"),
        (0.2, "UPDATE partners SET approval_threshold = 20000"),
        (0.1, "UPDATE loan_product_auto_disbursal_configs SET auto_approve = false"),
    )
    for likely, statement in changes:
        if chance.random() < likely:
            tables.run(statement)


def _arm(rig: Rig, outcome: Outcome, chance: random.Random) -> None:
    """Arm a few rules of a few kinds, and perhaps a kill: a swarm, not a porridge."""
    kinds = chance.sample((_read_rule, _pay_rule, _ask_rule, _record_rule, _letter_rule), 3)
    for _ in range(chance.randint(1, 5)):
        rig.sandbox.add_fault(**chance.choice(kinds)(chance))
        outcome.armed += 1
    if chance.random() < 0.5:
        rig.shared.set("kill_pass", chance.randint(1, 350))
        outcome.armed += 1
    if chance.random() < 0.3:
        rig.shared.set("kill_web", chance.randint(1, 60))
        outcome.armed += 1


def _often(chance: random.Random, row: str) -> Json:
    if row in SLOW or row.startswith(("slow", "gzip", "huge")):
        return {"times": 1}
    return chance.choice(({"times": 1}, {"times": 3}, {"times": None, "probability": 0.3}))


def _read_rule(chance: random.Random) -> Json:
    row = chance.choice(list(H_ROWS))
    return {"call": chance.choice(READS), "outcome": row, **_often(chance, row)}


def _pay_rule(chance: random.Random) -> Json:
    row = chance.choice([row for row in H_ROWS if row != "H20"])
    truth = chance.choice(("pays", "pays", "refuses", "never_lands", "lands_late"))
    rule: Json = {"call": "b2c", "outcome": row, "truth": truth, **_often(chance, row)}
    if truth == "refuses":
        rule["code"] = chance.choice(CODES)
    if truth == "lands_late" and chance.random() < 0.5:
        rule["seconds"] = chance.uniform(0.1, 1.5)
    return rule


def _ask_rule(chance: random.Random) -> Json:
    row = chance.choice(list(H_ROWS))
    return {"call": chance.choice(("status", "oauth")), "outcome": row, **_often(chance, row)}


def _record_rule(chance: random.Random) -> Json:
    row = chance.choice(list(H_ROWS))
    truth = chance.choice(("pays", "never_lands", "lands_late"))
    return {"call": "disburse", "outcome": row, "truth": truth, **_often(chance, row)}


def _letter_rule(chance: random.Random) -> Json:
    call = chance.choice(("callback", "callback", "status_callback"))
    allowed = sorted(CALLBACK_OUTCOMES - set(LIES))
    if call != "callback":
        allowed = [row for row in allowed if row not in PAYMENT_ONLY]
    row = chance.choice(allowed)
    return {
        "call": call,
        "outcome": row,
        "seconds": chance.uniform(0.0, 0.6),
        **_often(chance, row),
    }


def _one_round(running: Play, chance: random.Random) -> None:
    """Some passes at once, hooks and people beside them, and a change behind everybody's back."""
    rig = running.rig
    lives = [rig.start_pass() for _ in range(chance.choice((1, 1, 2, 3)))]
    lives += _company(running, chance)
    if chance.random() < 0.3:
        chance.choice(EVENTS)(running, chance)
    for life in lives:
        rig.note(life)
    rig.settle()
    if chance.random() < 0.15:  # what M-Pesa has not told by now, its statement tells
        rig.act(reconciling(rig.sandbox.debits(), rig.nursery.folder))


def _company(running: Play, chance: random.Random) -> list[Life]:
    rig, lives = running.rig, []
    if chance.random() < 0.3:
        tokens = rig.secret_hooks
        loans = chance.sample(running.world.loans, 2)
        calls = [hook_call(tokens[row.tenant], row.loan_id) for row in loans]
        lives.append(
            rig.nursery.fork("caller", calling(rig.nursery, rig.web_url, [*calls, sync_call()]))
        )
    if chance.random() < 0.3:
        payments = {row["ocid"]: row for row in rig.sandbox.payments()}
        acts = (retrying, approving, holding(chance.randrange(1000)), resolving(payments))
        lives.append(rig.nursery.fork("person", chance.choice(acts)))
    return lives


def _some_loan(running: Play, chance: random.Random) -> SampleLoan:
    loan = chance.choice(running.world.payable)
    running.touched.add((loan.tenant, loan.loan_id))
    return loan


def _undo_approval(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    running.rig.sandbox.command(loan.tenant, loan.loan_id, "undoapproval")


def _approve_anew(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    running.rig.sandbox.command(loan.tenant, loan.loan_id, "undoapproval")
    running.rig.sandbox.command(loan.tenant, loan.loan_id, "approve")


def _other_phone(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    number = f"07{chance.randrange(10**8):08d}"
    running.rig.sandbox.change_client(loan.tenant, loan.client_id or 0, mobile_no=number)


def _other_amount(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    state = running.rig.sandbox.loan(loan.tenant, loan.loan_id)
    if state["status"] == 200:
        running.rig.sandbox.change_loan(loan.tenant, loan.loan_id, principal="4200")


def _by_hand(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    running.rig.sandbox.command(loan.tenant, loan.loan_id, "disburse")


def _undone(running: Play, chance: random.Random) -> None:
    loan = _some_loan(running, chance)
    running.rig.sandbox.command(loan.tenant, loan.loan_id, "undodisbursal")


def _dead_tokens(running: Play, chance: random.Random) -> None:
    running.rig.sandbox.kill_tokens()


def _no_float(running: Play, chance: random.Random) -> None:
    code = SHORTCODES[chance.choice(LENDERS)]
    running.rig.sandbox.change_shortcode(code, utility="3000")


def _wrong_initiator(running: Play, chance: random.Random) -> None:
    code = SHORTCODES[chance.choice(LENDERS)]
    running.rig.sandbox.change_shortcode(code, has_role=False)


def _checkers(running: Play, chance: random.Random) -> None:
    running.rig.sandbox.change_tenant(chance.choice(LENDERS), maker_checker=True)


EVENTS: tuple[Act, ...] = (
    *(_undo_approval, _approve_anew, _other_phone, _other_amount, _by_hand, _undone),
    *(_dead_tokens, _no_float, _wrong_initiator, _checkers),
)


def _mend(running: Play) -> None:
    """People put right what only people can: float, roles, checkers, approvals, new attempts."""
    rig = running.rig
    for code in SHORTCODES.values():
        rig.sandbox.change_shortcode(code, utility="9000000", has_role=True, locked=False)
    for tenant in LENDERS:
        rig.sandbox.change_tenant(tenant, maker_checker=False)
        for command in rig.sandbox.waiting_commands(tenant):
            if command.get("processingResult") == "awaiting.approval":
                number = int(command["id"])
                if rig.sandbox.decide(tenant, number, "approve")["status"] != 200:
                    rig.sandbox.decide(tenant, number, "reject")
    for awaited, act in (
        ("hold_reason = 'needs_approval'", approving),
        ("status = 'failed'", retrying),
    ):
        # A life costs as much as a pass, and most of the time nobody waits for a person.
        if rig.engine.tables().rows(f"SELECT id FROM loan_tracking WHERE {awaited} LIMIT 1"):
            rig.act(act)
    running.person_acted_at.append(time.time())
