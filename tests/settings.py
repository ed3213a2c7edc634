"""The product's settings in a known environment: no test depends on a developer's .env or shell."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_FOLDER = Path(tempfile.mkdtemp(prefix="loanpoll-tests-"))
_OWNER = os.getpid()


def _sweep() -> None:
    if os.getpid() == _OWNER:  # not in a forked child
        shutil.rmtree(_FOLDER, ignore_errors=True)


atexit.register(_sweep)

_DATABASE_URL = os.environ.get("DATABASE_URL", "")
_known = re.findall(r"^#?([A-Z][A-Z_]+)=", (_PROJECT / ".env.example").read_text(), re.MULTILINE)
for _name in _known:
    os.environ.pop(_name, None)
    os.environ.pop(f"{_name}_FILE", None)
os.environ.update(
    LOANPOLL_ENV_FILE=os.devnull,
    SECRET_KEY="only-for-tests-" * 5,
    FIELD_ENCRYPTION_KEYS="dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
    PUBLIC_BASE_URL="http://testserver",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    LOANPOLL_ALLOW_PRIVATE_HOSTS="1",
    # pytest-django's live_server listens here; "localhost" may mean ::1 to a client.
    DJANGO_LIVE_TEST_SERVER_ADDRESS="127.0.0.1",
    DATABASE_URL=(
        _DATABASE_URL
        if _DATABASE_URL.startswith(("postgres", "psql", "pgsql"))
        else f"sqlite:///{_FOLDER}/outside-tests.sqlite3"
    ),
)

from loanpoll_site.settings import *  # noqa: E402, F403 - the environment had to be set first
from loanpoll_site.settings import DATABASES, INSTALLED_APPS  # noqa: E402 - as above

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory, so that threads and child processes share it. The power cut that
    # synchronous=FULL guards against cannot be tested here, so do not pay for it.
    DATABASES["default"]["TEST"] = {"NAME": str(_FOLDER / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
    )
else:
    # The queue's tables, so that a test may set LOANPOLL_TASKS to queue.
    INSTALLED_APPS.insert(0, "procrastinate.contrib.django")

# script/with_postgres.py switches fsync off; its check has a test of its own.
SILENCED_SYSTEM_CHECKS = ["loanpoll.E009"]
STATIC_ROOT = _FOLDER / "static"
STATIC_ROOT.mkdir()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOANPOLL_FIGURES_SECONDS = 0  # a test sees what it has just written
