"""The one live OAuth token of a Daraja app, shared by all threads, processes and machines."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from mpesa.client import FreshToken, MpesaNotSent
from mpesa.models import MpesaToken

REFRESH_AT = 0.8  # of its life (contracts/mpesa.md 1)
LEASE = timedelta(seconds=30)
WAIT_SECONDS = 45.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Warm:
    access_token: str = field(repr=False)
    refresh_at: datetime

    @property
    def is_live(self) -> bool:
        return bool(self.access_token) and timezone.now() < self.refresh_at


_warm: dict[str, _Warm] = {}
_doors: dict[str, threading.Lock] = {}


def forget_warm_tokens() -> None:
    """Empty this process's memory of tokens; the database keeps them."""
    _warm.clear()


class DatabaseTokenStore:
    """Asking for a token kills the one before (contracts/mpesa.md 0.9), so one asks for all.

    A warm token costs no statement. One that another process has replaced is found out when Daraja
    rejects it: `discard`, then `token` reads the row again.
    """

    def __init__(self, base_url: str, consumer_key: str) -> None:
        app = f"{base_url.rstrip('/')}\0{consumer_key}"
        self._app = hashlib.sha256(app.encode()).hexdigest()
        self._door = _doors.setdefault(self._app, threading.Lock())

    def token(self, fetch: Callable[[], FreshToken]) -> str:
        """Return the live token. Raises what `fetch` raises, and MpesaNotSent when another process
        does not bring the token in time. No transaction of this store is open during `fetch`."""
        warm = _warm.get(self._app)
        if warm and warm.is_live:
            return warm.access_token
        give_up_at = time.monotonic() + WAIT_SECONDS
        if not self._door.acquire(timeout=WAIT_SECONDS):
            raise _too_slow()
        try:
            return self._token_of_row(fetch, give_up_at)
        finally:
            self._door.release()

    def discard(self, access_token: str) -> None:
        """Forget `access_token`, unless another has taken its place already."""
        # Behind the door, or a thread that has read the row a moment ago would warm it anew.
        with self._door:
            warm = _warm.get(self._app)
            if warm and warm.access_token == access_token:
                _warm.pop(self._app, None)
            row = self._rows().first()
            if row and row.access_token == access_token:
                # The ciphertext cannot be searched; the instant stands for the token it came with.
                same = self._rows().filter(refresh_at=row.refresh_at)
                same.update(access_token="", refresh_at=None)

    def _token_of_row(self, fetch: Callable[[], FreshToken], give_up_at: float) -> str:
        while True:
            row = self._row()
            if row.refresh_at and _Warm(row.access_token, row.refresh_at).is_live:
                _warm[self._app] = _Warm(row.access_token, row.refresh_at)
                return row.access_token
            lease = self._claim(seen=row)
            token = self._refresh(fetch, lease) if lease else ""
            if token:
                return token
            if time.monotonic() >= give_up_at:
                raise _too_slow()
            time.sleep(POLL_SECONDS)

    def _row(self) -> MpesaToken:
        row = self._rows().first()
        if row is None:
            MpesaToken.objects.bulk_create(
                [MpesaToken(app_digest=self._app)], ignore_conflicts=True
            )
            row = self._rows().get()
        return row

    def _claim(self, *, seen: MpesaToken) -> datetime | None:
        """Return the lease under which this caller alone may fetch, or None.

        Only if the row is still as seen: a token brought in between must not be killed by another.
        """
        now = timezone.now()
        free = Q(fetching_since=None) | Q(fetching_since__lt=now - LEASE)
        free |= Q(fetching_since__gt=now + LEASE)  # by a clock that was set back since
        claimed = self._rows().filter(free, refresh_at=seen.refresh_at).update(fetching_since=now)
        return now if claimed == 1 else None

    def _refresh(self, fetch: Callable[[], FreshToken], lease: datetime) -> str:
        """Return the token fetched, or nothing when the lease was overtaken: it is dead by then."""
        mine = self._rows().filter(fetching_since=lease)
        try:
            fresh = fetch()
        except BaseException:
            mine.update(fetching_since=None)
            raise
        warm = _Warm(fresh.access_token, lease + timedelta(seconds=fresh.lifetime * REFRESH_AT))
        kept = mine.update(
            access_token=warm.access_token, refresh_at=warm.refresh_at, fetching_since=None
        )
        if not kept:
            return ""
        _warm[self._app] = warm
        return warm.access_token

    def _rows(self) -> QuerySet[MpesaToken]:
        return MpesaToken.objects.filter(app_digest=self._app)


def _too_slow() -> MpesaNotSent:
    return MpesaNotSent("another process is fetching the token and has not brought it yet")
