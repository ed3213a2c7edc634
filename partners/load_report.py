"""Puts into words what loading a file of partners did, or would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from partners.loading import FileProblem, PartnerPlan, PlannedAction

SCHEMA = "loanpoll.load_partners/1"
SIGNS = {PlannedAction.CREATED: "+", PlannedAction.CHANGED: "~", PlannedAction.UNCHANGED: "="}


def plan_as_text(plans: Sequence[PartnerPlan], *, dry_run: bool) -> str:
    """Return one line per partner and one that sums them up."""
    width = max((len(plan.slug) for plan in plans), default=0)
    count = Counter(plan.action for plan in plans)
    total = ", ".join(f"{count[action]} {action}" for action in PlannedAction)
    end = "Dry run: nothing was changed." if dry_run else _next_step(plans)
    return "\n".join([*(_line(plan, width) for plan in plans), f"{total}. {end}".strip()])


def _next_step(plans: Sequence[PartnerPlan]) -> str:
    touched = [plan.slug for plan in plans if plan.action != PlannedAction.UNCHANGED]
    whom = f" --partner {touched[0]}" if len(touched) == 1 else ""
    return f"Next: manage.py test_loan_polling_system{whom}" if touched else ""


def _line(plan: PartnerPlan, width: int) -> str:
    names = f": {', '.join(plan.changed)}" if plan.action == PlannedAction.CHANGED else ""
    return f"{SIGNS[plan.action]} {plan.slug:<{width}}  {plan.action}{names}"


def plan_as_json(plans: Sequence[PartnerPlan], *, dry_run: bool) -> str:
    """Return the plan as one JSON document."""
    partners = [asdict(plan) for plan in plans]
    document = {"schema": SCHEMA, "success": True, "dryRun": dry_run, "partners": partners}
    return json.dumps(document, indent=2)


def problems_as_text(problems: Sequence[FileProblem]) -> str:
    """Return every problem on its own line."""
    counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"  ✗ {problem}" for problem in problems]
    return "\n".join([f"The file has {counted}; nothing was changed.", *lines])


def problems_as_json(problems: Sequence[FileProblem]) -> str:
    """Return the problems as one JSON document."""
    document = {
        "schema": SCHEMA,
        "success": False,
        "problems": [asdict(problem) for problem in problems],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
