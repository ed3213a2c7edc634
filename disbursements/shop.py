"""What one partner's pass works with: its clients, its preflight, its pace, and when to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from disbursements.models import TriggeredBy
from disbursements.reread import Preflight
from mifos.client import MifosClient, MifosError, MifosUnreachable
from mpesa.client import MpesaClient
from mpesa.shortcodes import reserve_slot
from partners.models import Partner

TROUBLES_BEFORE_STOP = 3


@dataclass(kw_only=True)
class Shop:
    """One partner, one pass. `deadline` is monotonic seconds; after it nothing new is begun."""

    partner: Partner
    mifos: MifosClient
    mpesa: MpesaClient
    preflight: Preflight
    triggered_by: TriggeredBy
    deadline: float | None = None
    error: str = ""  # why the partner could not be served, for the report
    _closed: threading.Event = field(default_factory=threading.Event)
    _troubles: int = 0
    _silences: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def takes_more(self) -> bool:
        """May another loan be begun in this pass?"""
        return not self._closed.is_set() and not self.is_out_of_time

    def close(self, error: str = "") -> None:
        """Begin nothing more for this partner in this pass; what runs is finished."""
        with self._lock:
            self.error = self.error or error
        self._closed.set()

    def note_trouble(self, exc: MifosError) -> None:
        """A loan could not be read. Several in a row mean that the partner's Mifos X is away."""
        with self._lock:
            self._troubles += 1
            is_away = (
                not isinstance(exc, MifosUnreachable) or self._troubles >= TROUBLES_BEFORE_STOP
            )
        if is_away:
            self.close(str(exc))

    def note_silence(self, why: str) -> None:
        """M-Pesa gave no clear answer. Several in a row: more sends would only make more doubt."""
        with self._lock:
            self._silences += 1
            is_away = self._silences >= TROUBLES_BEFORE_STOP
        if is_away:
            self.close(f"M-Pesa gives no clear answers, nothing more is sent now: {why}")

    def note_success(self) -> None:
        with self._lock:
            self._troubles = self._silences = 0

    def wait_for_slot(self) -> None:
        """Sleep until the shortcode's pace, shared by all processes, allows the next send."""
        slot = reserve_slot(
            self.partner.mpesa_environment,
            self.partner.mpesa_shortcode,
            per_second=self.partner.mpesa_payments_per_second,
            now=timezone.now(),
        )
        time.sleep(max((slot - timezone.now()).total_seconds(), 0))

    def now(self) -> datetime:
        return timezone.now()
