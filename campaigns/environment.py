"""The settings a campaign gives the product: production's, with time shortened to the pass."""

from __future__ import annotations

import gc
import os
import re
import warnings
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CRON_SECRET = "campaign-cron-secret-" * 3
PASS_SECONDS = 300.0  # on the lives' clock between two passes, as cron starts them
# With passes 300 s apart: asked at the next one, not found twice at the one after.
TIMES = {
    "LOANPOLL_HTTP_CONNECT_TIMEOUT": "0.4",
    "LOANPOLL_HTTP_READ_TIMEOUT": "0.4",
    "LOANPOLL_STATUS_QUERY_AFTER": "120",
    "LOANPOLL_NOT_FOUND_INTERVAL": "240",
    "LOANPOLL_RESEND_AFTER": "240",
    "LOANPOLL_UNKNOWN_REVIEW_AFTER": "1200",
    "LOANPOLL_BACKOFF_BASE": "15",
}


def prepare(*, database_url: str, public_url: str, mpesa_url: str) -> None:
    """Set Django up in this process; nothing of a developer's .env or shell is seen."""
    for name in _known_names():
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(
        TIMES,
        DJANGO_SETTINGS_MODULE="loanpoll_site.settings",
        LOANPOLL_ENV_FILE=os.devnull,
        SECRET_KEY="only-for-campaigns-" * 4,
        FIELD_ENCRYPTION_KEYS="Y2FtcGFpZ25zLWNhbXBhaWducy1jYW1wYWlnbnMtMDE=",
        PUBLIC_BASE_URL=public_url,
        MPESA_SANDBOX_URL=mpesa_url,
        ALLOWED_HOSTS="127.0.0.1",
        LOANPOLL_ALLOW_PRIVATE_HOSTS="1",
        CRON_SECRET=CRON_SECRET,
        DATABASE_URL=database_url,
        LOG_LEVEL="ERROR",
        LOANPOLL_DATABASE_POOL="12",
    )
    import django

    django.setup()
    _preload()


def _known_names() -> list[str]:
    example = (PROJECT / ".env.example").read_text()
    return re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.MULTILINE)


def _preload() -> None:
    """Import once what every life would import anew."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import get_resolver

    from campaigns import web

    _ = get_resolver().url_patterns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no folder of static files, and none is asked for
        web.application = WSGIHandler()
    for name in ("disbursements.passes", "disbursements.resolve", "disbursements.retry"):
        __import__(name)
    for name in ("django.db.models.sql.compiler", "encodings.utf_8_sig", "encodings.idna"):
        __import__(name)
    __import__("phonenumbers").parse("0712345678", "KE")  # loads the numbers of Kenya
    gc.freeze()  # or the first collection in each life would copy every page
