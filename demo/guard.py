"""Keeps the demo away from every database but its own."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections

from demo.environment import DATABASE
from mpesa.models import MpesaEnvironment
from partners.models import Partner

START = "Start it with script/demo, or python manage.py demo: they give it settings of its own."


def refusal(folder: Path) -> str:
    """Return why the demo may not run here, or the empty text. Changes nothing."""
    name = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor != "sqlite" or name != folder.resolve() / DATABASE:
        return f"The demo runs on a database of its own only, not on this one. {START}"
    if not settings.DEBUG or not settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return f"These are not the demo's own settings. {START}"
    live = _live_partners() if name.exists() else []
    if live:
        return (
            f"{name} holds partners of the production environment ({', '.join(live)}), and the "
            "demo would delete it. Move that file away, or use another folder: --folder PATH."
        )
    return ""


def fresh_database() -> None:
    """Delete the demo's database of last time, and make it anew. Only after `refusal`."""
    connections.close_all()
    name = str(connection.settings_dict["NAME"])
    for path in (name, f"{name}-wal", f"{name}-shm"):
        Path(path).unlink(missing_ok=True)
    call_command("migrate", verbosity=0, interactive=False)


def _live_partners() -> list[str]:
    try:
        live = Partner.objects.filter(mpesa_environment=MpesaEnvironment.PRODUCTION)
        return list(live.values_list("slug", flat=True))
    except DatabaseError:  # a file of another version, or of a start that was broken off
        return []
