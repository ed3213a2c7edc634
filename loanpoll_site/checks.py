"""System checks: what `manage.py check` and `check --deploy` find wrong with an installation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, models

from encryption.fields import EncryptedTextField

SHORTEST_CRON_SECRET = 16
# contracts/mpesa.md 5: Daraja refuses addresses with these words, at least for C2B.
REFUSED_WORDS = ("mpesa", "m-pesa", "safaricom")
# The rules of money (design.md 4) as limits on the settings that a drill may shorten.
LEAST_SECONDS = {
    "LOANPOLL_NOT_FOUND_INTERVAL": 600,
    "LOANPOLL_RESEND_AFTER": 3600,
    # Not a rule, but with less nearly every payment ends as "unknown".
    "LOANPOLL_HTTP_CONNECT_TIMEOUT": 1,
    "LOANPOLL_HTTP_READ_TIMEOUT": 10,
}
MOST_SECONDS = {"LOANPOLL_RECHECK_MAX_AGE": 10, "LOANPOLL_RESEND_UNTIL": 86400}
MUST_BE_ON = ("fsync", "synchronous_commit", "full_page_writes")


@register(Tags.security)
def cron_secret_is_long(**_: Any) -> list[CheckMessage]:
    if not settings.CRON_SECRET or len(settings.CRON_SECRET) >= SHORTEST_CRON_SECRET:
        return []
    return [
        Error(
            f"CRON_SECRET is shorter than {SHORTEST_CRON_SECRET} characters.",
            hint='Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"',
            id="loanpoll.E001",
        )
    ]


@register()
def queue_has_postgresql(**_: Any) -> list[CheckMessage]:
    if settings.LOANPOLL_TASKS != "queue" or connection.vendor == "postgresql":
        return []
    return [
        Error(
            "LOANPOLL_TASKS=queue needs PostgreSQL.",
            hint="Set DATABASE_URL=postgres://user:password@host:5432/loanpoll, or use inline.",
            id="loanpoll.E002",
        )
    ]


@register()
def variable_names_are_known(**_: Any) -> list[CheckMessage]:
    """Find a misspelt name: it would otherwise be passed over and its default used."""
    known = settings.ENVIRONMENT_NAMES
    return [
        Warning(f"{name} is not a setting. Was {meant} meant?", id="loanpoll.W003")
        for name in sorted(os.environ)
        if name.startswith(("LOANPOLL_", "MPESA_")) and name not in known
        for meant in get_close_matches(name, known, n=1, cutoff=0.9)
        if name != f"{meant}_FILE"
    ]


@register(Tags.security, deploy=True)
def only_public_hosts_are_called(**_: Any) -> list[CheckMessage]:
    if not settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return []
    return [
        Error(
            "LOANPOLL_ALLOW_PRIVATE_HOSTS is on: plain http and private addresses are allowed.",
            hint="Remove it from the environment. It is for the sandbox and tests.",
            id="loanpoll.E004",
        )
    ]


@register(Tags.security, deploy=True)
def callbacks_come_over_https(**_: Any) -> list[CheckMessage]:
    if settings.PUBLIC_BASE_URL.startswith("https://"):
        return []
    return [
        Error(
            f"PUBLIC_BASE_URL={settings.PUBLIC_BASE_URL} is not https.",
            hint="Safaricom calls back over https only: PUBLIC_BASE_URL=https://…",
            id="loanpoll.E005",
        )
    ]


@register(deploy=True)
def callback_address_has_no_refused_word(**_: Any) -> list[CheckMessage]:
    address = settings.PUBLIC_BASE_URL.lower()
    return [
        Warning(
            f'PUBLIC_BASE_URL holds "{word}", which M-Pesa refuses in some callback addresses.',
            hint="Use another host name or path for this site.",
            id="loanpoll.W006",
        )
        for word in REFUSED_WORDS
        if word in address
    ]


@register(deploy=True)
def patience_is_not_a_drills(**_: Any) -> list[CheckMessage]:
    """Find a drill's short clock in production: it would weaken the rules of money."""
    wrong = [
        (name, f"at least {least}")
        for name, least in LEAST_SECONDS.items()
        if getattr(settings, name) < least
    ] + [
        (name, f"at most {most}")
        for name, most in MOST_SECONDS.items()
        if getattr(settings, name) > most
    ]
    return [
        Error(
            f"{name}={getattr(settings, name):g} is for drills; payments need {limit} seconds.",
            hint=f"Remove {name} from the environment.",
            id="loanpoll.E007",
        )
        for name, limit in wrong
    ]


@register(deploy=True)
def database_is_meant_for_production(**_: Any) -> list[CheckMessage]:
    if connection.vendor != "sqlite":
        return []
    return [
        Info(
            "The database is SQLite: right for one machine with a lasting disk, and no more.",
            hint="For more: DATABASE_URL=postgres://user:password@host:5432/loanpoll",
            id="loanpoll.I008",
        )
    ]


@register(Tags.security, deploy=True)
def power_needs_a_second_factor(**_: Any) -> list[CheckMessage]:
    if settings.LOANPOLL_REQUIRE_TWO_FACTOR:
        return []
    return [
        Info(
            "Approvers and administrators may sign in with a password alone.",
            hint="Set LOANPOLL_REQUIRE_TWO_FACTOR=1 once they have an authenticator app.",
            id="loanpoll.I020",
        )
    ]


@register(deploy=True)
def committed_means_kept(**_: Any) -> list[CheckMessage]:
    """Refuse a PostgreSQL that may lose a commit: an intent to pay would be forgotten."""
    if connection.vendor != "postgresql":
        return []
    return [
        Error(
            f"PostgreSQL has {name}=off: a commit may be lost when the machine stops.",
            hint=f"Set {name} = on in postgresql.conf (and on the role and the database).",
            id="loanpoll.E009",
        )
        for name in _switched_off()
    ]


def _switched_off() -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'",
                [list(MUST_BE_ON)],
            )
            return sorted(name for (name,) in cursor.fetchall())
    except DatabaseError:
        return []  # a database that cannot be reached is reported by whatever needs it


@register(Tags.database)
def stored_secrets_can_be_read(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    return _unreadable_secrets() if databases else []


@register(deploy=True)
def stored_secrets_can_be_read_in_production(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    return [] if databases else _unreadable_secrets()


def _unreadable_secrets() -> list[CheckMessage]:
    return [
        Error(
            f"A stored value of {field.model._meta.db_table}.{field.name} cannot be read.",
            hint="Put the key it was written with back into FIELD_ENCRYPTION_KEYS.",
            id="loanpoll.E010",
        )
        for field in _encrypted_fields()
        if not _can_be_read(field)
    ]


def _encrypted_fields() -> Iterator[EncryptedTextField]:
    for model in apps.get_models():
        yield from (
            field for field in model._meta.local_fields if isinstance(field, EncryptedTextField)
        )


def _can_be_read(field: models.Field[Any, Any]) -> bool:
    """Try the oldest and the newest value: one was written before a change of keys, one after."""
    filled = field.model._default_manager.exclude(**{field.name: ""}).order_by("pk")
    values = filled.values_list(field.name, flat=True)
    try:
        values.first()
        values.last()
    except ImproperlyConfigured:
        return False
    except DatabaseError:
        return True  # before the first migrate there is no table
    return True
