"""What all partners and processes must know of one shortcode: its breaker, its float, its pace."""

from __future__ import annotations

import math
import threading
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet

from mpesa.models import Shortcode
from prepared.statements import Prepared, Rows, Slot, Tuples, Update

# A slot further away than this is a clock that was set back, not a queue (reliability.md 2.5 Y1).
FURTHEST_SLOT = timedelta(hours=1)
FURTHEST_SLOT_IN_GAPS = 1000
# The threads of one process ask one after the other, so that only processes race for a slot.
_shortcodes = Prepared(Shortcode)
_one = Rows(lambda: _rows(Slot("environment"), Slot("shortcode")))
_stopped = Tuples(
    lambda: (
        _rows(Slot("environment"), Slot("shortcode"))
        .exclude(breaker_opened_at=None)
        .values_list("pk")
    )
)
_note_balance = Update(
    lambda: _rows(Slot("environment"), Slot("shortcode")).filter(
        Q(utility_balance_at=None) | Q(utility_balance_at__lte=Slot("now"))
    ),
    utility_balance=Slot("utility"),
    utility_balance_at=Slot("now"),
)
LONGEST_CAUSE = 300
_slot_doors: dict[tuple[str, str], threading.Lock] = {}


def shortcode_of(environment: str, shortcode: str) -> Shortcode:
    """Return the row of a shortcode, made if it is new."""
    row = _one.first(environment=environment, shortcode=shortcode)
    if row is None:
        Shortcode.objects.bulk_create(
            [Shortcode(environment=environment, shortcode=shortcode)], ignore_conflicts=True
        )
        row = _rows(environment, shortcode).get()
    return row


def open_breaker(
    environment: str,
    shortcode: str,
    *,
    cause: str,
    now: datetime,
    is_credential_refused: bool = True,
) -> bool:
    """Stop all sends from a shortcode. False when it was stopped already: then this cause stands
    beside the first, for whoever resets the breaker must know of both.

    With `is_credential_refused` no questions are asked either: each further try feeds the lock of
    the operator (contracts/mpesa.md 4).
    """
    refused = {"is_credential_refused": True} if is_credential_refused else {}
    while True:  # somebody may reset it, or stop it, between the look and the writing
        row = shortcode_of(environment, shortcode)
        if row.breaker_opened_at is None:
            changes = {"breaker_opened_at": now, "breaker_cause": cause[:LONGEST_CAUSE], **refused}
        else:
            changes = {"breaker_cause": _both_causes(row.breaker_cause, cause), **refused}
        as_seen = _rows(environment, shortcode).filter(
            breaker_opened_at=row.breaker_opened_at, breaker_cause=row.breaker_cause
        )
        if as_seen.update(**changes) == 1:
            return row.breaker_opened_at is None


def _both_causes(first: str, other: str) -> str:
    """Return the causes in one text. Too many: the last must be read, for it is news."""
    last = f"; also: {other}"[:LONGEST_CAUSE]
    return first if other in first else f"{first[: LONGEST_CAUSE - len(last)]}{last}"


def is_stopped(environment: str, shortcode: str) -> bool:
    """Is the breaker of a shortcode open at this moment?"""
    return bool(_stopped.all(environment=environment, shortcode=shortcode))


def reset_breaker(environment: str, shortcode: str, *, seen: Shortcode | None = None) -> bool:
    """Let a shortcode send again, on a person's word. False when it was not stopped, or not as
    the person has `seen` it."""
    stopped = _rows(environment, shortcode).exclude(breaker_opened_at=None)
    if seen is not None:
        stopped = stopped.filter(
            breaker_opened_at=seen.breaker_opened_at, breaker_cause=seen.breaker_cause
        )
    closed = {"breaker_opened_at": None, "breaker_cause": "", "is_credential_refused": False}
    return stopped.update(**closed) == 1


def note_balance(environment: str, shortcode: str, *, utility: Decimal, now: datetime) -> bool:
    """Keep the utility balance as of `now`. False when a younger one is known."""
    place = {"environment": environment, "shortcode": shortcode}
    if _note_balance(**place, utility=utility, now=now) == 1:
        return True
    is_younger_known = shortcode_of(environment, shortcode).utility_balance_at is not None
    return not is_younger_known and note_balance(environment, shortcode, utility=utility, now=now)


def claim_balance_question(
    environment: str, shortcode: str, *, now: datetime, not_since: datetime
) -> bool:
    """Is it for the caller to ask for the balance? One asker only, if none asked since then."""
    shortcode_of(environment, shortcode)
    due = Q(balance_asked_at=None) | Q(balance_asked_at__lte=not_since)
    due |= Q(balance_asked_at__gt=now + FURTHEST_SLOT)  # by a clock that was set back since
    return _rows(environment, shortcode).filter(due).update(balance_asked_at=now) == 1


def mark_float_short(environment: str, shortcode: str, *, now: datetime) -> bool:
    """Remember that the float did not cover a payment. False when that was known already."""
    shortcode_of(environment, shortcode)
    covered = _rows(environment, shortcode).filter(float_short_since=None)
    return covered.update(float_short_since=now) == 1


def clear_float_short(
    environment: str, shortcode: str, *, asked_at: datetime, now: datetime
) -> bool:
    """Forget that the float was short when the balance was asked for. False when it was not, or
    only since."""
    known = Q(float_short_since__lte=asked_at)
    known |= Q(float_short_since__gt=now)  # by a clock that was set back since
    return _rows(environment, shortcode).filter(known).update(float_short_since=None) == 1


def reserve_slot(
    environment: str, shortcode: str, *, per_second: Decimal, now: datetime
) -> datetime:
    """Return the instant from which the caller may send, never before `now`.

    Callers, in whatever thread or process, get instants at least 1/per_second apart.
    """
    if not per_second > 0:
        raise ValueError("the pace must be above zero payments a second")
    gap = timedelta(microseconds=math.ceil(1_000_000 / per_second))
    with _slot_doors.setdefault((environment, shortcode), threading.Lock()):
        while True:
            row = shortcode_of(environment, shortcode)
            slot = _next_slot(row.next_slot_at, gap=gap, now=now)
            if _take_slot(row, until=slot + gap):
                return slot


def _take_slot(row: Shortcode, *, until: datetime) -> bool:
    """Only if nobody took it since: one statement, so no lock outlasts it."""
    if row.next_slot_at is None:
        return Shortcode.objects.filter(pk=row.pk, next_slot_at=None).update(next_slot_at=until) > 0
    untaken = _shortcodes.filter(pk=row.pk, next_slot_at=row.next_slot_at)
    return untaken.update(next_slot_at=until) > 0


def _next_slot(free_at: datetime | None, *, gap: timedelta, now: datetime) -> datetime:
    furthest = now + max(FURTHEST_SLOT, gap * FURTHEST_SLOT_IN_GAPS)
    return now if free_at is None or free_at > furthest else max(now, free_at)


def _rows(environment: str | Slot, shortcode: str | Slot) -> QuerySet[Shortcode]:
    return Shortcode.objects.filter(environment=environment, shortcode=shortcode)
