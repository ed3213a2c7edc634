"""The book of what each channel was told. Every write is guarded: two passes may write at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db.models import F, Q, QuerySet

from disbursements.alerts.conditions import Condition
from disbursements.models import Alert

# Longer than any delivery takes. A pass that dies while it delivers leaves its claim to lapse.
CLAIM = timedelta(seconds=60)
SHORTEST_REPEAT_SECONDS = 3600
AT_ONCE = 500  # rows in one statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one pass alone may say now: what began (or is said anew), and what is over."""

    token: str
    began: list[Alert] = field(default_factory=list)
    over: list[Alert] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.began or self.over)


def keep(channel: str, conditions: Sequence[Condition], *, now: datetime) -> None:
    """Open what is new, close what is over, and follow what has changed."""
    wanted = {condition.key: condition for condition in conditions}
    known = {row.key: row for row in _free(channel, now=now).filter(cleared_at=None)}
    _close([row.pk for key, row in known.items() if key not in wanted], channel, now=now)
    for key, row in known.items():
        if key in wanted:
            _follow(row, wanted[key], channel, now=now)
    _open([wanted[key] for key in wanted if key not in known], channel, now=now)


def claim_unsaid(channel: str, *, now: datetime) -> Claim:
    """Take what must be said and no other pass is saying."""
    claim = Claim(token=uuid4().hex)
    due = _free(channel, now=now).filter(_begins(now) | _ends())
    if due.update(claim=claim.token, claimed_until=now + CLAIM):
        for row in _claimed(channel, claim).order_by("id"):
            (claim.began if row.cleared_at is None else claim.over).append(row)
    return claim


def note_said(channel: str, claim: Claim, *, now: datetime) -> None:
    """Remember that everything of the claim was delivered."""
    free = {"claim": "", "claimed_until": None}
    began = _claimed(channel, claim).filter(cleared_at=None)
    began.update(said_at=now, said_mark=F("mark"), **free)
    _claimed(channel, claim).update(clear_said_at=now, **free)


def give_back(channel: str, claim: Claim) -> None:
    """Let the next pass say it."""
    _claimed(channel, claim).update(claim="", claimed_until=None)


def _free(channel: str, *, now: datetime) -> QuerySet[Alert]:
    """The unfinished rows that no pass is speaking of: a claimed row does not change."""
    unfinished = Alert.objects.filter(channel=channel, clear_said_at=None)
    return unfinished.filter(Q(claimed_until=None) | Q(claimed_until__lte=now))


def _claimed(channel: str, claim: Claim) -> QuerySet[Alert]:
    return Alert.objects.filter(channel=channel, clear_said_at=None, claim=claim.token)


def _begins(now: datetime) -> Q:
    unsaid = Q(said_at=None) | ~Q(said_mark=F("mark"))
    if settings.ALERT_REPEAT_AFTER:
        after = max(settings.ALERT_REPEAT_AFTER, SHORTEST_REPEAT_SECONDS)
        unsaid |= Q(said_at__lte=now - timedelta(seconds=after))
    return Q(cleared_at=None) & unsaid


def _ends() -> Q:
    return Q(cleared_at__isnull=False, said_at__isnull=False)


def _close(pks: list[int], channel: str, *, now: datetime) -> None:
    for start in range(0, len(pks), AT_ONCE):
        # Not what a pass that looked later than this one has opened meanwhile.
        gone = _free(channel, now=now).filter(
            pk__in=pks[start : start + AT_ONCE], cleared_at=None, opened_at__lt=now
        )
        gone.filter(said_at=None).delete()  # nobody was told, so nobody waits for the end
        gone.update(cleared_at=now)


def _follow(row: Alert, condition: Condition, channel: str, *, now: datetime) -> None:
    columns = {"mark": condition.mark, "text": condition.text[:600], "about": condition.about[:250]}
    if any(getattr(row, name) != value for name, value in columns.items()):
        _free(channel, now=now).filter(pk=row.pk, cleared_at=None).update(**columns)


def _open(conditions: list[Condition], channel: str, *, now: datetime) -> None:
    """Insert what is not open yet; the index refuses what another pass has opened meanwhile."""
    rows = [
        Alert(
            channel=channel,
            kind=condition.kind,
            key=condition.key,
            about=condition.about[:250],
            text=condition.text[:600],
            loan_id=condition.loan_id,
            mark=condition.mark,
            opened_at=now,
        )
        for condition in conditions
    ]
    Alert.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)
