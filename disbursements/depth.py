"""How deep the queue is: counts by task, the age of the oldest job that is due, living workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from disbursements.jobs import DEAD_AFTER_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueDepth:
    """One task. `later` are jobs whose time has not come; what succeeded is not kept."""

    task: str
    due: int
    later: int
    doing: int
    failed: int
    oldest_due_seconds: float


def queue_depths() -> list[QueueDepth]:
    """Return every task that has jobs, in the order of their names."""
    from procrastinate.contrib.django.models import ProcrastinateJob  # not installed inline

    now = timezone.now()
    later = Q(status="todo", scheduled_at__gt=now)
    due = Q(status="todo") & (Q(scheduled_at=None) | Q(scheduled_at__lte=now))
    counted = ProcrastinateJob.objects.values("task_name").annotate(
        due=Count("id", filter=due),
        later=Count("id", filter=later),
        doing=Count("id", filter=Q(status="doing")),
        failed=Count("id", filter=Q(status__in=["failed", "aborted"])),
    )
    deferred = Q(procrastinateevent__type__in=["deferred", "deferred_for_retry"])
    waiting = ProcrastinateJob.objects.filter(due).filter(deferred).values("task_name")
    since = Coalesce("scheduled_at", "procrastinateevent__at")
    oldest = {row["task_name"]: row["at"] for row in waiting.annotate(at=Min(since))}
    rows = counted.order_by("task_name")
    return [_depth(row, oldest.get(row["task_name"]), now=now) for row in rows]


def workers_alive() -> int:
    """Return how many workers have said lately that they live."""
    from procrastinate.contrib.django.models import ProcrastinateWorker  # not installed inline

    since = timezone.now() - timedelta(seconds=DEAD_AFTER_SECONDS)
    return int(ProcrastinateWorker.objects.filter(last_heartbeat__gte=since).count())


def _depth(row: dict[str, object], oldest: datetime | None, *, now: datetime) -> QueueDepth:
    counts = {name: int(str(row[name])) for name in ("due", "later", "doing", "failed")}
    age = max((now - oldest).total_seconds(), 0.0) if oldest else 0.0
    return QueueDepth(task=str(row["task_name"]), oldest_due_seconds=round(age, 1), **counts)
