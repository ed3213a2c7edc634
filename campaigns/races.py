"""Campaign 4: everybody at once on PostgreSQL, lost commits, cut connections, sleepers."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from campaigns.engines import PostgresEngine
from campaigns.kills import MODES, play_mode
from campaigns.lives import Life, listen
from campaigns.people import approving, calling, holding, hook_call, resolving, retrying, sync_call
from campaigns.play import Job, Outcome, Play, begin, spread
from campaigns.proxy import AFTER, BEFORE, serve_proxy, through
from campaigns.rig import Rig
from campaigns.worlds import LENDERS, SHORTCODES, lenders
from sandbox.calls import Json

CUTS = {"before": BEFORE, "after": AFTER}
# What a lost connection may raise, in the driver's and in Django's words.
LOST = (
    *("OperationalError", "InterfaceError", "AdminShutdown", "PoolTimeout", "PoolClosed"),
    *("server closed the connection", "answered 503", "NotSupportedError"),
)
STAMPEDES, TERMINATIONS = 40, 60
ROUNDS = 3
MOST_COMMITS = 400
PATIENCE_SECONDS = 1.5


def plan(rig: Rig, *, seed: int, count: int | None, short: bool) -> list[Job]:
    """Name every pause and every cut commit; stampedes and terminations by seed."""
    play_mode(rig, "never", seed)
    pauses = int(rig.shared.get("pass"))
    commits = _count_commits(rig, seed)
    names = [(f"stampede/{number}", seed + number) for number in range(STAMPEDES)]
    names += [(f"terminate/{number}", seed + number) for number in range(TERMINATIONS)]
    names += [(f"pause/{number}", seed) for number in range(1, pauses + 1)]
    names += [(f"commit/{how}/{number}", seed) for how in CUTS for number in range(1, commits + 1)]
    return spread(names, count or (4 if short else None))


def play(rig: Rig, name: str, seed: int) -> Outcome:
    """Play one race."""
    kind, _, rest = name.partition("/")
    running = {"stampede": _stampede, "terminate": _terminate, "pause": _pause, "commit": _commit}[
        kind
    ](rig, rest, seed)
    running.outcome.campaign, running.outcome.name = "races", name
    running.heal()
    running.until_quiet()
    running.aftermath()
    return running.judge()


def _begin(rig: Rig, seed: int, *, loans: int = 10) -> Play:
    """Two lenders with four threads each; some callbacks are lost, some payments are refused."""
    world = lenders(loans=loans, seed=seed, unpayable=2)
    outcome = Outcome(campaign="races", name="", seed=seed)
    running = begin(rig, outcome, world, threaded=True)
    tables = rig.engine.tables()
    tables.run("UPDATE partners SET mifos_concurrency = 4")
    for rule in _weather(seed):
        rig.sandbox.add_fault(**rule)
    return running


def _weather(seed: int) -> list[Json]:
    chance = random.Random(seed)
    always: Json = {"times": None, "probability": 0.2}
    rules: list[Json] = [
        {"call": "callback", "outcome": "lost", **always},
        {"call": "callback", "outcome": "doubled", **always},
        {"call": "callback", "outcome": "before_answer", **always},
        {"call": "b2c", "outcome": "normal", "truth": "refuses", "code": "2040", **always},
        {"call": "b2c", "outcome": "503_after", **always},
        {"call": "disburse", "outcome": "500_after", **always},
    ]
    return [rule for rule in rules if chance.random() < 0.6]


def _stampede(rig: Rig, rest: str, seed: int) -> Play:
    """Passes, API calls, hooks and staff, all for the same loans at the same moment."""
    running = _begin(rig, seed)
    chance = random.Random(seed)
    if chance.random() < 0.4:
        tables = rig.engine.tables()
        tables.run("UPDATE loan_product_auto_disbursal_configs SET auto_approve = false")
    if chance.random() < 0.4:
        tables = rig.engine.tables()
        tables.run("UPDATE partners SET daily_limit = 60000 WHERE slug = %s", (LENDERS[0],))
    for number in range(ROUNDS):
        lives = _everybody(rig, running, seed + number)
        for life in lives:
            rig.note(life)
        rig.settle()
        running.look(quiet=False)
    running.outcome.fired["stampede"] = ROUNDS
    rig.act(approving)
    return running


def _everybody(rig: Rig, running: Play, seed: int) -> list[Life]:
    tokens = rig.secret_hooks
    payments = {row["ocid"]: row for row in rig.sandbox.payments()}
    hooks = [hook_call(tokens[row.tenant], row.loan_id) for row in running.world.loans[:6]]
    people = [retrying, approving, holding(seed), resolving(payments)]
    lives = [rig.start_pass() for _ in range(3)]
    caller = calling(rig.nursery, rig.web_url, [sync_call(), sync_call(), *hooks])
    lives.append(rig.nursery.fork("caller", caller))
    lives += [rig.nursery.fork("person", act) for act in people]
    return lives


def _terminate(rig: Rig, rest: str, seed: int) -> Play:
    """The server ends connections at random while two passes and the web work."""
    assert isinstance(rig.engine, PostgresEngine)  # races are planned for PostgreSQL only
    running = _begin(rig, seed, loans=8)
    running.allowed_errors = LOST
    chance, cuts = random.Random(seed), 0
    for _ in range(ROUNDS):
        lives = [rig.start_pass(), rig.start_pass()]
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.01, 0.12))
            cuts += rig.engine.cut_a_connection()
        for life in lives:
            rig.note(life)
        rig.settle()
    running.outcome.fired = {"backend terminated": cuts} if cuts else {}
    return running


def _pause(rig: Rig, rest: str, seed: int) -> Play:
    """A pass falls asleep at a boundary; others go on past every time-out; it wakes."""
    world = lenders(loans=6, seed=seed, unpayable=1, tenants=1)
    outcome = Outcome(campaign="races", name="", seed=seed, armed=1)
    running = begin(rig, outcome, world, threaded=True)
    _only_first_lender(rig)
    for rule in MODES["never"].rules:
        rig.sandbox.add_fault(**rule)
    rig.shared.set("stop_pass", int(rest))
    sleeper = None
    for _ in range(ROUNDS + 1):
        life = rig.start_pass()
        if sleeper is None and life.stopped_or_ended():
            sleeper = life
            outcome.fired = {_label(rig, int(rest)): 1}
            rig.settle()
            continue
        if sleeper is not None:
            _wait_or_wake(life, sleeper)
        rig.note(life)
        rig.settle()
    if sleeper is not None:
        sleeper.resume()
        rig.note(sleeper)
        rig.settle()
    return running


def _wait_or_wake(life: Life, sleeper: Life) -> None:
    """A sleeper that holds a lock keeps others waiting: the machine wakes it after a while."""
    if not life.ends_within(PATIENCE_SECONDS):
        sleeper.resume()


def _label(rig: Rig, number: int) -> str:
    found = [line for line in rig.nursery.take_trace() if line.startswith(f"pass {number} ")]
    return f"paused {found[0].split(' ', 2)[2]}" if found else "paused"


def _commit(rig: Rig, rest: str, seed: int) -> Play:
    """One COMMIT is lost, or its answer is: the product must not act on what it does not know."""
    how, number = rest.split("/")
    running, cuts = _run_cut(rig, seed, mode=CUTS[how], cut_at=int(number))
    running.allowed_errors = LOST
    running.outcome.fired = {f"{how} COMMIT lost": cuts} if cuts else {}
    return running


def _count_commits(rig: Rig, seed: int) -> int:
    _run_cut(rig, seed, mode=0, cut_at=MOST_COMMITS * 10)
    return int(rig.shared.get("commits"))


def _run_cut(rig: Rig, seed: int, *, mode: int, cut_at: int) -> tuple[Play, int]:
    world = lenders(loans=4, seed=seed, unpayable=1, tenants=1)
    outcome = Outcome(campaign="races", name="", seed=seed, armed=1)
    running = begin(rig, outcome, world, threaded=True, web=False)
    _only_first_lender(rig)
    rule: Json = {
        "call": "callback",
        "outcome": "lost",
        "match": {"shortcode": SHORTCODES[LENDERS[0]]},
    }
    rig.sandbox.add_fault(**rule, times=1)
    rig.shared.set("cut_mode", mode)
    rig.shared.set("cut_at", cut_at)
    with _proxy(rig) as port:
        rig.start_web(threaded=True, settings=through(port))
        for _ in range(ROUNDS):
            rig.one_pass(settings=through(port))
        rig.end_lives()
    cuts = int(rig.shared.get("cuts"))
    rig.start_web(threaded=True)
    return running, cuts


@contextmanager
def _proxy(rig: Rig) -> Iterator[int]:
    assert isinstance(rig.engine, PostgresEngine)  # races are planned for PostgreSQL only
    listening: socket.socket = listen()
    host, port = rig.engine.host, rig.engine.port

    def serve() -> None:
        serve_proxy(listening, host, port, rig.shared)

    life = rig.nursery.fork("proxy", serve)
    try:
        yield int(listening.getsockname()[1])
    finally:
        life.kill()
        listening.close()


def _only_first_lender(rig: Rig) -> None:
    rig.engine.tables().run("UPDATE partners SET is_active = false WHERE slug = %s", (LENDERS[1],))
