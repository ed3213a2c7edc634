"""The menu of faults: rules set over HTTP while the sandbox runs, and what really fired."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.calls import Json, Truth

# reliability.md 2.2: each row a server can make, as (outcome, extra fields of the rule)
H_ROWS: dict[str, tuple[str, Json]] = {
    "H05": ("reset_early", {}),
    "H06": ("reset_before", {}),
    "H07": ("reset_after", {}),
    "H08": ("timeout_before", {}),
    "H09": ("timeout_after", {}),
    "H10": ("timeout_late", {}),
    "H11": ("normal", {}),
    "H12": ("html_before", {}),
    "H13": ("html_after", {}),
    "H14": ("truncated", {}),
    "H15": ("malformed", {}),
    "H16": ("no_id", {}),
    "H17": ("huge", {}),
    "H18": ("slow_body", {}),
    "H19": ("redirect", {}),
    "H20": ("400", {}),
    "H21": ("401", {}),
    "H22": ("403", {}),
    "H23": ("425", {}),
    "H24": ("429", {}),
    "H25": ("500_before", {}),
    "H26": ("500_after", {}),
    "H27": ("duplicate", {}),
    "H28": ("503_before", {}),
    "H29": ("503_after", {}),
    "H30": ("success_of_another", {}),
}
EFFECTS = {"before": "never_lands", "after": "pays", "late": "lands_late"}
# outcome -> what happens to the effect when the rule does not say
SHAPES: dict[str, str] = {
    **dict.fromkeys(
        ("reset_early", "reset", "timeout", "html", "redirect", "custom"), "never_lands"
    ),
    **dict.fromkeys(
        ("400", "401", "403", "404", "405", "408", "409", "425", "429", "500", "502", "503", "504"),
        "never_lands",
    ),
    **dict.fromkeys(
        ("spike_arrest", "quota", "not_duplicate", "maintenance", "no_product", "locked"),
        "never_lands",
    ),
    **dict.fromkeys(("token_400", "token_401", "token_401_short", "token_404"), "never_lands"),
    **dict.fromkeys(
        ("normal", "truncated", "malformed", "nan", "duplicate_keys", "deep_nesting", "duplicate"),
        "pays",
    ),
    **dict.fromkeys(
        ("no_id", "other_id", "wrong_shape", "empty_body", "success_of_another"), "pays"
    ),
    **dict.fromkeys(("huge", "gzip_bomb", "slow_body", "slow_headers", "slow_answer"), "pays"),
    "response_code": "never_lands",
    "page_shift": "pays",
}
# reliability.md 2.3, and what else a callback can do wrong
CALLBACK_OUTCOMES = frozenset(
    {
        *("normal", "lost", "late", "doubled", "before_answer", "timeout_only"),
        *("timeout_then_result", "success_then_failure", "failure_then_success"),
        *("says_failure", "says_success", "wrong_amount", "wrong_phone", "no_receipt"),
        *("no_parameters", "other_id", "malformed", "truncated", "huge", "not_json"),
        *("wrong_type", "result_code", "repeated_keys", "reference_array", "reference_object"),
        "to_url",
    }
)
# A payment's fate has these; a query or a hook does not.
PAYMENT_ONLY = frozenset(
    {
        *("before_answer", "timeout_then_result", "success_then_failure"),
        *("failure_then_success", "says_failure", "says_success"),
    }
)
CALLBACK_CALLS = frozenset({"callback", "status_callback", "balance_callback", "hook"})
C_ROWS = {
    "C01": "lost",
    "C02": "late",
    "C03": "doubled",
    "C04": "before_answer",
    "C06": "timeout_then_result",
    "C07": "success_then_failure",
    "C09": "other_id",
    "C10": "wrong_amount",
    "C11": "malformed",
    "C12": "no_parameters",
    "C13": "repeated_keys",
}


@dataclass(slots=True)
class Rule:
    """One fault. It fires on the matching calls named by `nth`, at most `times` times."""

    id: int
    call: str
    outcome: str
    system: str | None = None
    match: Json = field(default_factory=dict)
    nth: list[int] | None = None
    times: int | None = 1
    probability: float | None = None
    truth: str | None = None
    code: str = ""
    seconds: float | None = None
    seen: bool | None = None
    params: Json = field(default_factory=dict)
    matched: int = 0
    fired: int = 0
    fired_on: list[Json] = field(default_factory=list)

    @property
    def shape(self) -> str:
        return split_outcome(self.outcome)[0]

    def effect(self) -> Truth:
        """Return what happens to the effect of the call this rule hits."""
        shape, default = split_outcome(self.outcome)
        return Truth(self.truth or default or SHAPES[shape], self.code, self.seconds, self.seen)

    def matches(self, system: str, facts: Json) -> bool:
        if self.system is not None and self.system != system:
            return False
        return all(_same(wanted, facts.get(name)) for name, wanted in self.match.items())


def split_outcome(outcome: str) -> tuple[str, str | None]:
    """Return the shape and the effect in a name: `reset_after` is a reset after the effect."""
    shape, _, word = outcome.rpartition("_")
    if word in EFFECTS and shape in SHAPES:
        return shape, EFFECTS[word]
    return outcome, None


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, list):
        return any(_same(one, found) for one in wanted)
    if found is None:
        return wanted is None
    if str(wanted) == str(found):
        return True
    try:
        return Decimal(str(wanted)) == Decimal(str(found))
    except InvalidOperation:
        return False


class Faults:
    """All rules, looked up by the call they are for."""

    def __init__(self, seed: int) -> None:
        self.rules: dict[int, Rule] = {}
        self.by_call: dict[str, list[Rule]] = {}
        self.log: list[Json] = []
        self._next = 0
        self._random = random.Random(seed)

    def add(self, given: Json) -> Rule:
        """Keep a rule. Raises ValueError for an outcome, a call or a key that does not exist."""
        fields = dict(given)
        outcome = str(fields.pop("outcome"))
        if outcome in H_ROWS:
            outcome, extra = H_ROWS[outcome]
            fields = {**extra, **fields}
        outcome = C_ROWS.get(outcome, outcome)
        _check(str(fields.get("call", "")), outcome)
        if isinstance(fields.get("nth"), int):
            fields["nth"] = [fields["nth"]]
        self._next += 1
        try:
            rule = Rule(id=self._next, outcome=outcome, **fields)
        except TypeError as exc:
            raise ValueError(f"a fault rule cannot have that: {exc}") from exc
        self.rules[rule.id] = rule
        self.by_call.setdefault(rule.call, []).append(rule)
        return rule

    def choose(
        self, system: str, call: str, facts: Json, at: float, *, early: bool = False
    ) -> Rule | None:
        """Return the first rule that fires on this call, and count it.

        `early` rules fire before the body is read, so they match on the path alone.
        """
        chosen = None
        for rule in self.by_call.get(call, ()) if self.by_call else ():
            if early != (rule.outcome == "reset_early") or not rule.matches(system, facts):
                continue
            rule.matched += 1
            if chosen is None and self._fires(rule):
                chosen = rule
        if chosen is not None:
            self._count(chosen, system, facts, at)
        return chosen

    def _fires(self, rule: Rule) -> bool:
        if rule.times is not None and rule.fired >= rule.times:
            return False
        if rule.nth is not None and rule.matched not in rule.nth:
            return False
        return rule.probability is None or self._random.random() < rule.probability

    def _count(self, rule: Rule, system: str, facts: Json, at: float) -> None:
        rule.fired += 1
        entry = {"at": at, "rule": rule.id, "system": system, "call": rule.call, **facts}
        entry["outcome"] = rule.outcome
        self.log.append(entry)
        if len(rule.fired_on) < 100:
            rule.fired_on.append(dict(facts))

    def clear(self, rule_id: int | None = None) -> None:
        """Remove one rule or all; what fired stays in the log."""
        wanted = list(self.rules) if rule_id is None else [rule_id]
        for number in wanted:
            rule = self.rules.pop(number, None)
            if rule is not None:
                self.by_call[rule.call].remove(rule)
        self.by_call = {call: rules for call, rules in self.by_call.items() if rules}


def _check(call: str, outcome: str) -> None:
    if not call:
        raise ValueError("a fault rule needs a call")
    if call in CALLBACK_CALLS:
        if outcome not in CALLBACK_OUTCOMES or (call != "callback" and outcome in PAYMENT_ONLY):
            raise ValueError(f"a callback cannot be {outcome}")
    elif split_outcome(outcome)[0] not in SHAPES:
        raise ValueError(f"no outcome {outcome}")
