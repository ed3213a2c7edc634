"""Everything the sandbox holds, in one place and in memory."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sandbox.calls import Call, Json
from sandbox.daraja_results import Quirks
from sandbox.daraja_tokens import Tokens
from sandbox.deliveries import Deliveries
from sandbox.faults import Faults, Rule
from sandbox.fineract_book import Tenant
from sandbox.ledger import Ledger
from sandbox.numbers import Numbers
from sandbox.options import Options


@dataclass(slots=True)
class Plan:
    """What happens to one callback."""

    outcome: str
    seconds: float | None = None
    code: str = ""
    params: Json = field(default_factory=dict)


@dataclass(slots=True)
class LateEffect:
    """An effect that has not landed yet; without a timer it waits to be released."""

    id: int
    call: str
    key: str
    run: Callable[[], object]
    landed: bool = False


class World:
    """One Mifos X server with its tenants, one M-Pesa, the faults, the letters and the log."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.numbers = Numbers(options.seed)
        self.quirks = Quirks(options.seed)
        self.tenants: dict[str, Tenant] = {}
        self.ledger = Ledger()
        self.tokens = Tokens()
        self.faults = Faults(options.seed)
        self.deliveries = Deliveries(options, random.Random(options.seed + 1))
        self.effects: dict[int, LateEffect] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.log: list[Json] = []
        self.last_success: dict[str, bytes] = {}
        self.problems: list[str] = []
        self.urls: dict[str, str] = {}
        self.timers = 0

    def callback_plan(self, call: str, facts: Json) -> Plan | None:
        rule = self.faults.choose("mpesa", call, facts, time.time())
        return None if rule is None else plan_of(rule)

    def after(self, delay: float, run: Callable[[], object]) -> None:
        """Run soon, outside the call that is being answered."""
        self.timers += 1
        asyncio.get_running_loop().call_later(max(0.0, delay), self._timed, run)

    def later(self, seconds: float | None, call: str, key: str, run: Callable[[], object]) -> None:
        """Let an effect land after `seconds`, or when it is released (None)."""
        effect = LateEffect(len(self.effects) + 1, call, key, run)
        self.effects[effect.id] = effect
        if seconds is not None:
            self.after(seconds, lambda: self.land(effect.id))

    def land(self, effect_id: int) -> None:
        effect = self.effects[effect_id]
        if not effect.landed:
            effect.landed = True
            self._guarded(effect.run)

    def _timed(self, run: Callable[[], object]) -> None:
        self.timers -= 1
        self._guarded(run)

    def _guarded(self, run: Callable[[], object]) -> None:
        try:
            run()
        except Exception as exc:  # a bug of ours must be seen by the test, not only on stderr
            self.problems.append(f"{type(exc).__name__}: {exc}")
            raise

    def note(self, call: Call, status: int, rule: Rule | None) -> None:
        """Count the call and write it down, in order."""
        self.counts[(call.system, call.name)] += 1
        entry: Json = {
            "seq": len(self.log) + 1,
            "at": call.at,
            "system": call.system,
            "call": call.name,
            "status": status,
            **call.facts,
        }
        if call.saw is not None:
            entry["saw"] = call.saw
        if rule is not None:
            entry["fault"] = rule.outcome
        self.log.append(entry)


def plan_of(rule: Rule) -> Plan:
    return Plan(rule.outcome, rule.seconds, rule.code, rule.params)


@dataclass(slots=True)
class Sandbox:
    """The running pair of servers. A reset replaces `world`; the ports stay."""

    world: World
    mifos_url: str = ""
    mpesa_url: str = ""
    set_outage: Callable[[str, bool], Awaitable[None]] | None = None
    stop: Callable[[], None] | None = None
