"""Reads settings from the environment, and says what to do when one is missing or wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

Value = TypeVar("Value")

MAKE_SECRET = 'python -c "import secrets; print(secrets.token_urlsafe(50))"'
MAKE_FIELD_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)


class Environment:
    """The process environment, after the `.env` file of the project folder (which never overrides)."""

    def __init__(self, base_dir: Path) -> None:
        # An absolute path: cron starts us in another folder and with an empty environment.
        environ.Env.read_env(base_dir / ".env")
        self._env = environ.Env()

    def text(self, name: str, default: str | None = None, *, example: str = "", how: str = "") -> str:
        """Return the text of `name`. Without a default, a missing or empty one stops the start."""
        value = str(self._env.str(name, default="") or "").strip()
        if value:
            return value
        if default is None:
            raise ImproperlyConfigured(_missing(name, example=example, how=how))
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        return self._read(name, self._env.bool, default, "1 or 0")

    def seconds(self, name: str, default: float) -> float:
        """Return a duration in seconds; fractions and 0 are allowed, negatives are not."""
        value = self._read(name, self._env.float, default, f"{default:g} (seconds)")
        if not 0 <= value < float("inf"):
            raise ImproperlyConfigured(_wrong(name, str(value), f"{default:g} (seconds, 0 or more)"))
        return value

    def number(self, name: str, default: int) -> int:
        value = self._read(name, self._env.int, default, str(default))
        if value < 0:
            raise ImproperlyConfigured(_wrong(name, str(value), f"{default} (0 or more)"))
        return value

    def names(self, name: str, default: list[str]) -> list[str]:
        """Return a comma list, blanks removed."""
        return [part.strip() for part in self._env.list(name, default=default) if part.strip()]

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ImproperlyConfigured(_wrong(name, value, " or ".join(allowed)))
        return value

    def url(self, name: str, default: str | None = None, *, example: str, allow_http: bool) -> str:
        """Return an absolute URL without its trailing slash; `http` only where private hosts are on."""
        value = self.text(name, default, example=example)
        parts = urlsplit(value)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ImproperlyConfigured(_wrong(name, value, example))
        if parts.scheme == "http" and not allow_http:
            raise ImproperlyConfigured(
                f"{name}={value} is plain http. Use https, or set LOANPOLL_ALLOW_PRIVATE_HOSTS=1 "
                "for a sandbox on this machine (never in production)."
            )
        return value.rstrip("/")

    def field_keys(self, name: str) -> list[str]:
        """Return Fernet keys; the first one writes, all of them read."""
        keys = self.names(name, [])
        if not keys:
            raise ImproperlyConfigured(_missing(name, how=f"Make one with: {MAKE_FIELD_KEY}"))
        for key in keys:
            try:
                Fernet(key)
            except ValueError as exc:
                raise ImproperlyConfigured(
                    f"{name} holds a key that is not a Fernet key (44 characters of base64). "
                    f"Make one with: {MAKE_FIELD_KEY}"
                ) from exc
        return keys

    def database(self, name: str, default: str) -> dict[str, Any]:
        try:
            return dict(self._env.db_url(name, default=default))
        except (ValueError, ImproperlyConfigured) as exc:
            raise ImproperlyConfigured(
                _wrong(name, "(not shown)", "postgres://user:password@host:5432/loanpoll")
            ) from exc

    def _read(
        self, name: str, reader: Callable[..., Value], default: Value, example: str
    ) -> Value:
        try:
            return reader(name, default=default)
        except ValueError as exc:
            raise ImproperlyConfigured(_wrong(name, self._env.str(name), example)) from exc


def _missing(name: str, *, example: str = "", how: str = "") -> str:
    shown = f" Example: {name}={example}." if example else ""
    return f"{name} is not set.{shown} {how or 'Set it in the environment or in .env.'}".strip()


def _wrong(name: str, value: str, example: str) -> str:
    return f"{name}={value} cannot be used. Example: {name}={example}."
