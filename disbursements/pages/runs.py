"""The last 24 hours of passes of each partner, as a strip and as a table, from what passes kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from disbursements.models import SyncRun
from disbursements.pages.wording import clock, counted, without_phones

DAY = timedelta(hours=24)
SLOT = timedelta(minutes=15)
SLOTS = DAY // SLOT
# A pass every minute is 1,440 a day; a flood of requests must not make the page heavy.
MOST_RUNS = 2000
MOST_SHOWN = 12
WORDS = {"ok": "read well", "bad": "failed", "none": "no pass"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One pass of one partner. `error` is empty when Mifos X and M-Pesa could be served."""

    at: datetime
    error: str
    approved: int | None
    new: int
    paid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Neighbouring quarters of an hour that went alike: one rectangle of the strip."""

    start: int
    width: int
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """24 hours of one partner."""

    said: str
    strip: list[Stretch]
    newest: list[Run]


def days_of(slugs: Iterable[str], *, now: datetime) -> dict[str, Day]:
    """Return each partner's last 24 hours, in one statement for all."""
    found: dict[str, list[Run]] = {slug: [] for slug in slugs}
    runs = SyncRun.objects.filter(started_at__gte=now - DAY, finished_at__isnull=False)
    rows = runs.order_by("-started_at").values_list("started_at", "summary")[:MOST_RUNS]
    for at, summary in rows:
        for slug, run in _partners_of(at, summary):
            if slug in found:
                found[slug].append(run)
    return {slug: _day(each, now=now) for slug, each in found.items()}


def _partners_of(at: datetime, summary: dict[str, Any]) -> Iterator[tuple[str, Run]]:
    fetched = {one["slug"]: one for one in summary.get("fetch", [])}
    processed = {one["slug"]: one for one in summary.get("process", [])}
    for slug in dict.fromkeys([*fetched, *processed]):
        fetch, process = fetched.get(slug, {}), processed.get(slug, {})
        yield (
            slug,
            Run(
                at=at,
                error=without_phones(fetch.get("error") or process.get("error") or ""),
                approved=fetch.get("approved"),
                new=fetch.get("new_loans", 0),
                paid=process.get("paid", 0),
            ),
        )


def _day(runs: list[Run], *, now: datetime) -> Day:
    return Day(said=_said(runs, now=now), strip=_strip(runs, now=now), newest=runs[:MOST_SHOWN])


def _said(runs: list[Run], *, now: datetime) -> str:
    failed = [run for run in runs if run.error]
    if not runs:
        return "No pass in the last 24 hours."
    if not failed:
        return f"{counted(len(runs), 'pass', 'passes')} in 24 hours, none failed."
    last = clock(failed[0].at, now=now)
    total = counted(len(runs), "pass", "passes")
    return f"{total} in 24 hours, {len(failed)} failed, the last at {last}."


def _strip(runs: list[Run], *, now: datetime) -> list[Stretch]:
    states = ["none"] * SLOTS
    for run in runs:
        slot = min(SLOTS - 1, max(0, int((run.at - (now - DAY)) / SLOT)))
        if states[slot] != "bad":
            states[slot] = "bad" if run.error else "ok"
    strip: list[Stretch] = []
    for slot, state in enumerate(states):
        if strip and strip[-1].state == state:
            strip[-1] = Stretch(start=strip[-1].start, width=strip[-1].width + 1, state=state)
        else:
            strip.append(Stretch(start=slot, width=1, state=state))
    return strip
