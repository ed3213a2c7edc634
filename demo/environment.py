"""Gives `manage.py demo` settings of its own before Django reads any. Knows nothing of Django."""

from __future__ import annotations

import argparse
import atexit
import fcntl
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO

from cryptography.fernet import Fernet

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / ".demo"
DATABASE = "loanpoll.sqlite3"
HOST = "127.0.0.1"
PORTS_TO_TRY = 100
TITLE = "Loan Poll demo (SANDBOX: no real money, nothing leaves this machine)"
SETTING = re.compile(r"^#?([A-Z][A-Z_]+)=", re.MULTILINE)

# Minutes become seconds, so that silence, "not found" and a second send show while one looks on.
SHORT_CLOCK = {
    "LOANPOLL_HTTP_READ_TIMEOUT": "5",
    "LOANPOLL_STATUS_QUERY_AFTER": "3",
    "LOANPOLL_NOT_FOUND_INTERVAL": "3",
    "LOANPOLL_RESEND_AFTER": "6",
    "LOANPOLL_UNKNOWN_REVIEW_AFTER": "20",  # a loan in review is not sent again: after that
    "LOANPOLL_BACKOFF_BASE": "1",
    "LOANPOLL_POLL_INTERVAL": "15",
    "LOANPOLL_POLL_GRACE": "45",
}

# Held open for as long as this process lives: the lock on the folder.
_lock: IO[str] | None = None


def enter(arguments: list[str]) -> None:
    """Point this process at the demo's own folder, database, keys and ports. May raise SystemExit.

    What is set in the shell for a real installation does not reach the demo.
    """
    asked = _read_arguments(arguments)
    folder = asked.folder.resolve()
    if asked.help:
        folder = Path(tempfile.mkdtemp(prefix="loanpoll-demo-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    elif not asked.json:
        sys.stdout.write(f"{TITLE}\n\n")
        sys.stdout.flush()
    folder.mkdir(parents=True, exist_ok=True)
    _take_lock(folder)
    names = set(SETTING.findall((PROJECT / ".env.example").read_text()))
    for name in names:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    _write_settings(folder, site_port=asked.port)
    os.environ["LOANPOLL_ENV_FILE"] = str(folder / "env")
    os.environ["DJANGO_SETTINGS_MODULE"] = "loanpoll_site.settings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is asked before Django starts, and again by the command itself for its help."""
    parser.add_argument("--json", action="store_true", help="print one JSON document (with --once)")
    parser.add_argument("--port", type=int, default=8000, help="of the site; taken = the next")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="for the demo's database and keys (.demo)"
    )


def free_port(first: int, *, not_these: frozenset[int] = frozenset()) -> int:
    """Return the first port from `first` on that nobody listens on. Raises SystemExit."""
    for port in range(first, first + PORTS_TO_TRY):
        if port not in not_these and _is_free(port):
            return port
    sys.exit(f"No free port between {first} and {first + PORTS_TO_TRY}; choose one with --port.")


def read_settings(folder: Path) -> dict[str, str]:
    """Return the demo's settings as written before, or nothing."""
    try:
        lines = (folder / "env").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _read_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False)
    # The command itself prints the help. It must do so beside a running demo, and change nothing.
    parser.add_argument("-h", "--help", action="store_true")
    add_arguments(parser)
    return parser.parse_known_args(arguments)[0]


def _take_lock(folder: Path) -> None:
    global _lock
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        sys.stderr.write(
            f"A demo is running already in {folder}. Stop it with Ctrl-C in its terminal, "
            "or give this one a folder of its own: --folder PATH\n"
        )
        sys.exit(2)
    _lock = lock


def _write_settings(folder: Path, *, site_port: int) -> None:
    kept = read_settings(folder)
    site = free_port(site_port)
    mifos = free_port(8101, not_these=frozenset({site}))
    mpesa = free_port(8102, not_these=frozenset({site, mifos}))
    values = {
        "SECRET_KEY": kept.get("SECRET_KEY") or secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": kept.get("FIELD_ENCRYPTION_KEYS")
        or Fernet.generate_key().decode(),
        "CRON_SECRET": kept.get("CRON_SECRET") or secrets.token_urlsafe(32),
        "DATABASE_URL": f"sqlite:///{folder / DATABASE}",
        "DEBUG": "1",  # static files come straight from their folders
        "PUBLIC_BASE_URL": f"http://{HOST}:{site}",
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "LOANPOLL_ALLOW_PRIVATE_HOSTS": "1",
        "MPESA_SANDBOX_URL": f"http://{HOST}:{mpesa}",
        "LOG_LEVEL": "ERROR",
        **SHORT_CLOCK,
        "DEMO_MIFOS_URL": f"http://{HOST}:{mifos}",
    }
    path = folder / "env"
    path.touch(mode=0o600)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    path.write_text(text, encoding="utf-8")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port that only waits for its last packets is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
