"""One digest of what began and what is over: a mail's subject and text, a webhook's document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from django.conf import settings
from django.urls import reverse

from disbursements.models import Alert, AlertKind

SCHEMA = "loanpoll.alerts/1"
LOANS_NAMED = 5  # a digest, not a list: the work queue has them all
LINES_SHOWN = 50
GRAVITY = list(AlertKind)
WHAT_TO_DO = {
    AlertKind.ALL_PAUSED: "Look at the log and at docs/runbook; then: manage.py resume",
    AlertKind.BREAKER_OPEN: "Correct the initiator or the keys (docs/runbook/breaker.md)",
    AlertKind.LOAN_REVIEW: "Work the queue",
    AlertKind.FLOAT_SHORT: "Move money to the utility account; payouts go on by themselves",
    AlertKind.LOGIN_REFUSED: "Enter the Mifos X user name and password anew",
    AlertKind.PARTNER_LATE: "Find out whether Mifos X or cron is down "
    "(docs/runbook/partner-late.md)",
    AlertKind.CREDENTIAL_AGES: "Set a new one before it ends",
}
PAGES = {
    AlertKind.LOAN_REVIEW: ("loans", "?status=needs_review"),
    AlertKind.CREDENTIAL_AGES: ("admin:index", ""),
}


class State(StrEnum):
    NEW = "new"
    STILL = "still"
    RESOLVED = "resolved"


HEADINGS = {
    State.NEW: "NEEDS SOMEBODY",
    State.STILL: "STILL NEEDS SOMEBODY",
    State.RESOLVED: "RESOLVED",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a digest; loans with the same trouble at the same partner share theirs."""

    state: State
    kind: AlertKind
    text: str
    count: int
    loan_ids: tuple[int, ...]
    since: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What one channel delivers at once. Sent again, the same news have the same `number`."""

    number: str
    at: datetime
    lines: tuple[Line, ...]
    is_test: bool = False

    @property
    def subject(self) -> str:
        """Return kinds and counts only: a subject is read on locked screens."""
        if self.is_test:
            return "[Loan Poll] Test: alerts arrive here"
        news = [line for line in self.lines if line.state != State.RESOLVED]
        return f"[Loan Poll] {'' if news else 'Resolved: '}{_kinds(news or self.lines)}"

    @property
    def text(self) -> str:
        if self.is_test:
            return f"This is a test of Loan Poll's alerts. Nothing needs you.\n\n{_footer()}"
        parts = [part for state in State for part in _part(state, _of_state(self.lines, state))]
        return "\n".join([*parts, _footer()])

    @property
    def document(self) -> dict[str, Any]:
        """Return the same for programs; `text` is what chat servers show."""
        return {
            "schema": SCHEMA,
            "id": self.number,
            "at": self.at.isoformat(timespec="seconds"),
            "test": self.is_test,
            "text": f"{self.subject}\n\n{self.text}",
            "alerts": [_document(line) for line in self.lines],
        }


def message_of(rows: Sequence[Alert], *, at: datetime) -> Message:
    """Return the digest of these rows, the gravest first."""
    facts = sorted((row.pk, str(_state(row)), row.mark, str(row.said_at)) for row in rows)
    number = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return Message(number=number, at=at, lines=tuple(_lines(rows)))


def _lines(rows: Iterable[Alert]) -> Iterable[Line]:
    ordered = sorted(rows, key=_place)
    for _, group in groupby(ordered, key=_place):
        yield _line(list(group))


def _place(row: Alert) -> tuple[int, int, str, str]:
    """Return where the row stands, and with whom: rows of one place share a line."""
    state = list(State).index(_state(row))
    return state, GRAVITY.index(AlertKind(row.kind)), row.about, row.text


def _state(row: Alert) -> State:
    if row.cleared_at is not None:
        return State.RESOLVED
    return State.STILL if row.said_at and row.said_mark == row.mark else State.NEW


def _line(rows: list[Alert]) -> Line:
    first = rows[0]
    loan_ids = [row.loan_id for row in rows if row.loan_id is not None]
    return Line(
        state=_state(first),
        kind=AlertKind(first.kind),
        text=_words(first, loan_ids) if loan_ids else f"{first.about}: {first.text}",
        count=len(rows),
        loan_ids=tuple(loan_ids[:LOANS_NAMED]),
        since=min(row.opened_at for row in rows),
    )


def _words(row: Alert, loan_ids: list[int]) -> str:
    """Return `Umoja Sacco: 7 loans: Possible double payment (101, 102, … and 2 more)`."""
    named = ", ".join(str(loan_id) for loan_id in loan_ids[:LOANS_NAMED])
    more = len(loan_ids) - LOANS_NAMED
    rest = f" and {more} more" if more > 0 else ""
    loans = "1 loan" if len(loan_ids) == 1 else f"{len(loan_ids)} loans"
    return f"{row.about}: {loans}: {row.text} ({named}{rest})"


def _kinds(lines: Iterable[Line]) -> str:
    counts: dict[AlertKind, int] = {}
    for line in lines:
        counts[line.kind] = counts.get(line.kind, 0) + line.count
    return ", ".join(
        kind.label if count == 1 and kind != AlertKind.LOAN_REVIEW else f"{kind.label}: {count}"
        for kind, count in counts.items()
    )


def _of_state(lines: Sequence[Line], state: State) -> list[Line]:
    return [line for line in lines if line.state == state]


def _part(state: State, lines: list[Line]) -> Iterable[str]:
    if not lines:
        return
    yield f"{HEADINGS[state]}\n"
    for kind, group in groupby(lines[:LINES_SHOWN], key=lambda line: line.kind):
        yield from (f"- {line.text}" for line in group)
        if state != State.RESOLVED:
            yield f"  {WHAT_TO_DO[kind]}: {_page(kind)}"
    if len(lines) > LINES_SHOWN:
        yield f"- and {len(lines) - LINES_SHOWN} more"
    yield ""


def _page(kind: AlertKind) -> str:
    name, query = PAGES.get(kind, ("partners", ""))
    return f"{settings.PUBLIC_BASE_URL}{reverse(name)}{query}"


def _footer() -> str:
    return (
        f"Times are EAT. Each thing is said once, and once more when it is over.\n"
        f"Loan Poll, {settings.PUBLIC_BASE_URL}\n"
    )


def _document(line: Line) -> dict[str, Any]:
    return {
        "state": line.state.value,
        "kind": line.kind.value,
        "text": line.text,
        "count": line.count,
        "loanIds": list(line.loan_ids),
        "since": line.since.isoformat(timespec="seconds"),
    }
