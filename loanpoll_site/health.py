"""Three questions for monitors: is the process up, can it work, are the partners being polled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from partners.models import Partner


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer that the process is up; nothing else is asked, so a lost database restarts nobody."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer whether this process can work: the database is there, its migrations are applied."""
    try:
        unapplied = unapplied_migrations()
    except DatabaseError:
        return _failing({"database": "unreachable", "migrations": "unknown"})
    if unapplied:
        return _failing({"database": "ok", "migrations": f"{unapplied} not applied"})
    return JsonResponse({"status": "ok", "database": "ok", "migrations": "ok"})


@never_cache
@require_safe
def polling(request: HttpRequest) -> JsonResponse:
    """Answer 503 when a partner has not been polled in time. No names: this address is open."""
    try:
        late = list(late_partners(now=timezone.now()))
        watched = watched_partners().count()
    except DatabaseError:
        return _failing({"reasons": [{"code": "database_unreachable"}]})
    if late:
        return _failing({"partners": watched, "late": len(late), "reasons": late})
    return JsonResponse({"status": "ok", "partners": watched, "late": 0, "reasons": []})


def unapplied_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def watched_partners() -> Any:
    """Return the partners that ought to be polled."""
    return Partner.objects.filter(is_active=True, is_mifos_configured=True)


def late_partners(*, now: datetime) -> Iterator[dict[str, Any]]:
    """Return why each late partner is late, by its number."""
    seconds = settings.LOANPOLL_POLL_INTERVAL + settings.LOANPOLL_POLL_GRACE
    for partner in watched_partners().only("last_poll_succeeded_at", "rules_changed_at"):
        last = partner.last_poll_succeeded_at
        since = last or partner.rules_changed_at
        if now - since > timedelta(seconds=seconds):
            yield {
                "partnerId": partner.pk,
                "code": "polled_late" if last else "never_polled",
                "secondsSince": int((now - since).total_seconds()),
                "allowedSeconds": int(seconds),
            }


def _failing(facts: dict[str, Any]) -> JsonResponse:
    return JsonResponse({"status": "fail", **facts}, status=503)
