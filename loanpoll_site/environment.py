"""Reads settings from the environment, and says what to do when one is missing or wrong."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Callable
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from wire.failure import NotSent
from wire.guard import check_url

# A command that makes a secret, not a secret.
MAKE_SECRET = 'python -c "import secrets; print(secrets.token_urlsafe(50))"'  # noqa: S105
MAKE_FIELD_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)
SHORTEST_SECRET = 16
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*")
# What the REST framework reads a rate as; another unit would be an error at the first call.
RATE = re.compile(r"[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)")
YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})
# The ways to send mail, with the port where the URL names none.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465, "consolemail": 0, "filemail": 0}


class Environment:
    """The process environment, then the `.env` file of the project folder (which never overrides).

    The value of any NAME may also lie in a file whose path is in NAME_FILE, for secrets that
    systemd or a container hands over as files. An empty value means: not set.
    """

    def __init__(self, base_dir: Path) -> None:
        self.names_read: set[str] = set()
        self._base_dir = base_dir
        self._of_the_process = frozenset(os.environ)
        # An absolute path: cron starts us in another folder and with an empty environment.
        chosen = os.environ.get("LOANPOLL_ENV_FILE", "")
        self._file = Path(chosen) if chosen else base_dir / ".env"
        _read_env_file(self._file, must_exist=bool(chosen))

    def text(
        self, name: str, default: str | None = None, *, example: str = "", how: str = ""
    ) -> str:
        """Return the text of `name`. Without a default, a missing or empty one stops the start."""
        value = self._raw(name)
        if value:
            return value
        if default is None:
            raise ImproperlyConfigured(_missing(name, example=example, how=how))
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._raw(name).lower()
        if value not in YES | NO | {""}:
            # django-environ would read any unknown word as False.
            raise ImproperlyConfigured(self._wrong(name, value, "1, or 0"))
        return value in YES if value else default

    def seconds(self, name: str, default: float) -> float:
        """Return a duration in seconds; fractions and 0 are allowed, negatives are not."""
        return self._number_from(name, default, f"{default:g} (seconds, 0 or more)")

    def number(self, name: str, default: int) -> int:
        value = self._number_from(name, default, f"{default} (a whole number, 0 or more)")
        if value != int(value):
            raise ImproperlyConfigured(
                self._wrong(name, f"{value:g}", f"{default} (a whole number)")
            )
        return int(value)

    def names(self, name: str, default: list[str]) -> list[str]:
        """Return a comma list, blanks removed."""
        return [part.strip() for part in self._raw(name).split(",") if part.strip()] or default

    def hosts(self, name: str) -> list[str]:
        """Return host names; `.example.co.ke` stands for all below it, `*` is refused."""
        return self._each(name, [], _is_host_pattern, "loanpoll.example.co.ke (names only)")

    def origins(self, name: str) -> list[str]:
        return self._each(name, [], _is_origin, "https://loanpoll.example.co.ke")

    def networks(self, name: str, default: list[str]) -> list[str]:
        """Return addresses or networks. A misspelt one would quarantine every callback."""
        return self._each(name, default, _is_network, "196.201.214.200,196.201.213.0/24")

    def emails(self, name: str) -> list[str]:
        return self._each(name, [], _is_email, "ops@example.co.ke,finance@example.co.ke")

    def sender(self, name: str, default: str) -> str:
        """Return `Name <address>` or an address alone."""
        value = self._raw(name)
        if value and not _is_email(parseaddr(value)[1]):
            example = "Loan Poll <loanpoll@example.co.ke>"
            raise ImproperlyConfigured(self._wrong(name, value, example))
        return value or default

    def rate(self, name: str, default: str) -> str:
        value = self.text(name, default)
        if not RATE.fullmatch(value):
            raise ImproperlyConfigured(self._wrong(name, value, f"{default} (sec, min, hour, day)"))
        return value

    def shared_secret(self, name: str) -> str:
        """Return a secret that a machine sends us; empty = its door is shut. Never shown."""
        value = self.text(name, "")
        if value and len(value) < SHORTEST_SECRET:
            raise ImproperlyConfigured(
                f"{name} is shorter than {SHORTEST_SECRET} characters. "
                f"Example: {name}=50-random-characters. Make one: {MAKE_SECRET}"
            )
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ImproperlyConfigured(self._wrong(name, value, " or ".join(allowed)))
        return value

    def url(self, name: str, default: str | None = None, *, example: str, allow_http: bool) -> str:
        """Return an absolute URL without its trailing slash; `http` only with private hosts on."""
        value = self.text(name, default, example=example)
        if not _is_web_address(value):
            raise ImproperlyConfigured(self._wrong(name, value, example))
        if value.lower().startswith("http:") and not allow_http:
            raise ImproperlyConfigured(
                f"{name}={value} is plain http. Use https, or set LOANPOLL_ALLOW_PRIVATE_HOSTS=1 "
                f"for a sandbox on this machine (never in production). Example: {name}={example}."
            )
        parts = urlsplit(value)
        # The scheme switches the hardening, and must do so however it is spelt.
        return (
            parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower())
            .geturl()
            .rstrip("/")
        )

    def field_keys(self, name: str) -> list[str]:
        """Return Fernet keys; the first one writes, all of them read."""
        keys = self.names(name, [])
        if not keys:
            raise ImproperlyConfigured(
                _missing(name, example="44-characters-of-base64", how=f"Make one: {MAKE_FIELD_KEY}")
            )
        for position, key in enumerate(keys, start=1):
            try:
                Fernet(key)
            except ValueError as exc:
                raise ImproperlyConfigured(
                    f"{name}: key {position} is not a Fernet key. "
                    f"Example: {name}=44-characters-of-base64. Make one: {MAKE_FIELD_KEY}"
                ) from exc
        return keys

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Return Django's description of the database at this URL. It is never shown: a secret."""
        refusal = self._wrong(name, "(not shown)", "postgres://user:password@host:5432/loanpoll")
        try:
            # Its warnings show the whole URL, and so the password.
            with warnings.catch_warnings(action="ignore"):
                found = dict(environ.Env.db_url_config(self.text(name, default)))
        except (ValueError, ImproperlyConfigured):
            raise ImproperlyConfigured(refusal) from None
        if not found.get("ENGINE") or not found.get("NAME"):
            raise ImproperlyConfigured(refusal)
        if found["ENGINE"] == "django.db.backends.sqlite3":
            found["NAME"] = self._sqlite_file(name, str(found["NAME"]))
        return found

    def _sqlite_file(self, variable: str, name: str) -> str:
        """Return the file's path, absolute: cron works in another folder than a person."""
        path = self._base_dir / name
        example = f"Example: {variable}=sqlite:////srv/loanpoll/loanpoll.sqlite3."
        if name.startswith(":memory:"):
            raise ImproperlyConfigured(
                f"{variable} names a database in memory, which forgets every payment when a "
                f"command ends. {example} Or leave it empty: a file in the project folder."
            )
        if not path.parent.is_dir():
            raise ImproperlyConfigured(
                f"{variable}: there is no folder {path.parent}. {example} Make the folder, and "
                "let the user that runs Loan Poll write into it."
            )
        return str(path)

    def hidden_url(self, name: str, *, example: str, allow_private_hosts: bool) -> str:
        """Return an address that is itself a secret and is never shown; empty = not set."""
        value = self.text(name, "")
        if not value:
            return ""
        try:
            check_url(value, allow_private_hosts=allow_private_hosts)
        except NotSent as exc:
            refusal = f"{self._wrong(name, '(not shown)', example)} Cause: {exc}."
            raise ImproperlyConfigured(refusal) from None
        return value

    def mail(self, name: str, default: str) -> dict[str, Any]:
        """Return Django's EMAIL_* settings for the mail server at this URL. Never shown: a secret.

        django-environ takes `smtps` for STARTTLS, others for TLS from the start: it is refused.
        """
        refusal = self._wrong(
            name, "(not shown)", "smtp+tls://user:password@mail.example.co.ke:587"
        )
        value = self.text(name, default)
        way = value.partition("://")[0]
        if way not in MAIL_PORTS:
            raise ImproperlyConfigured(f"{refusal} Ways: {', '.join(MAIL_PORTS)}.")
        try:
            found = dict(environ.Env.email_url_config(value))
        except ValueError:
            raise ImproperlyConfigured(refusal) from None
        if way.startswith("smtp") and not found["EMAIL_HOST"]:
            raise ImproperlyConfigured(refusal)
        return {**found, "EMAIL_PORT": found["EMAIL_PORT"] or MAIL_PORTS[way]}

    def _each(
        self, name: str, default: list[str], is_right: Callable[[str], bool], example: str
    ) -> list[str]:
        """Return a comma list of which every part is right."""
        parts = self.names(name, default)
        for part in parts:
            if not is_right(part):
                raise ImproperlyConfigured(self._wrong(name, part, example))
        return parts

    def _wrong(self, name: str, value: str, example: str) -> str:
        said = f"{name}={value} cannot be used. Example: {name}={example}."
        return f"{said} Correct it {self._place(name)}."

    def _place(self, name: str) -> str:
        """Say where a value comes from: the environment hides a line of the file."""
        if f"{name}_FILE" in os.environ:
            return f"in the file that {name}_FILE names"
        return "in the environment" if name in self._of_the_process else f"in {self._file}"

    def _raw(self, name: str) -> str:
        # Not django-environ's own reading: that follows a value that begins with "$" to another
        # variable, and secrets may begin with "$".
        self.names_read.add(name)
        path = os.environ.get(f"{name}_FILE", "")
        if not path:
            return os.environ.get(name, "").strip()
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ImproperlyConfigured(
                f"{name}_FILE={path} cannot be read ({type(exc).__name__}). "
                f"Example: {name}_FILE=/run/secrets/{name.lower()}."
            ) from exc

    def _number_from(self, name: str, default: float, example: str) -> float:
        value = self._raw(name)
        try:
            number = float(value) if value else float(default)
        except ValueError as exc:
            raise ImproperlyConfigured(self._wrong(name, value, example)) from exc
        if not math.isfinite(number) or number < 0:
            raise ImproperlyConfigured(self._wrong(name, value, example))
        return number


def _read_env_file(path: Path, *, must_exist: bool) -> None:
    # django-environ passes over a file it may not read, and the first missing name is then blamed.
    if not path.exists() and not must_exist:
        return
    if not path.exists():
        raise ImproperlyConfigured(
            f"LOANPOLL_ENV_FILE={path} cannot be read: there is no such file. "
            "Example: LOANPOLL_ENV_FILE=/srv/loanpoll/.env. Correct it in the environment."
        )
    if not os.access(path, os.R_OK):
        raise ImproperlyConfigured(
            f"The settings file {path} cannot be read by this user. "
            "Give the file to the user that runs Loan Poll (chown), or run as that user."
        )
    environ.Env.read_env(path)


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises on a port that is no number
    except ValueError:
        return False
    plain = not parts.query and not parts.fragment and not parts.username
    return parts.scheme in {"https", "http"} and plain and _is_host(parts.hostname or "")


def _is_host(name: str) -> bool:
    return bool(HOST.fullmatch(name.removesuffix("."))) or (":" in name and _is_network(name))


def _is_host_pattern(name: str) -> bool:
    return _is_host(name.removeprefix(".").strip("[]"))


def _is_origin(value: str) -> bool:
    # Django allows https://*.example.co.ke.
    return _is_web_address(value.replace("://*.", "://")) and not urlsplit(value).path


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _missing(name: str, *, example: str = "", how: str = "") -> str:
    shown = f" Example: {name}={example}." if example else ""
    return f"{name} is not set.{shown} {how or 'Set it in the environment or in .env.'}".strip()
