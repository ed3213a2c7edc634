"""What one partner's pass works with: its clients, its preflight, its pace, and when to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import date, datetime

from django.utils import timezone

from disbursements.models import TriggeredBy
from disbursements.reread import Preflight
from mifos.client import (
    MifosClient,
    MifosCredentials,
    MifosError,
    MifosUnreachable,
    MifosUnreadable,
)
from mpesa.client import MpesaClient
from mpesa.shortcodes import reserve_slot
from partners.models import Partner
from partners.overlap import Patience


@dataclass(kw_only=True)
class Shop:
    """One partner, one pass. `deadline` is monotonic seconds; after it nothing new is begun, nor on
    another day than the one whose business date and calendar the preflight has read."""

    partner: Partner
    mifos: MifosClient
    mpesa: MpesaClient
    preflight: Preflight
    triggered_by: TriggeredBy
    deadline: float | None = None
    day: date = field(default_factory=timezone.localdate)  # on which the preflight was read
    error: str = ""  # why the partner could not be served, for the report
    _closed: threading.Event = field(default_factory=threading.Event)
    _reads: Patience = field(default_factory=Patience)
    _sends: Patience = field(default_factory=Patience)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_out_of_time(self) -> bool:
        is_late = self.deadline is not None and time.monotonic() >= self.deadline
        return is_late or timezone.localdate() != self.day

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
        """A loan could not be read. Silence several times in a row means that Mifos X is away.

        A refusal about one loan, or an odd field of it, is that loan's own trouble: it must not
        starve the others.
        """
        if isinstance(exc, MifosUnreadable):
            with self._lock:  # it has no hold, so that the partner must tell of it
                self.error = self.error or str(exc)
        elif isinstance(exc, MifosUnreachable):
            self._reads.note(success=False)
        if self._reads.is_lost or isinstance(exc, MifosCredentials):
            self.close(str(exc))

    def note_silence(self, why: str) -> None:
        """M-Pesa gave no clear answer. Several in a row: more sends would only make more doubt."""
        self._sends.note(success=False)
        if self._sends.is_lost:
            self.close(f"M-Pesa gives no clear answers, nothing more is sent now: {why}")

    def note_read(self) -> None:
        self._reads.note(success=True)

    def note_answer(self) -> None:
        self._sends.note(success=True)

    def wait_for_slot(self) -> None:
        """Sleep until the shortcode's pace, shared by all processes, allows the next send.

        Not past the deadline: nothing is begun after it.
        """
        slot = reserve_slot(
            self.partner.mpesa_environment,
            self.partner.mpesa_shortcode,
            per_second=self.partner.mpesa_payments_per_second,
            now=timezone.now(),
        )
        seconds = (slot - timezone.now()).total_seconds()
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.monotonic())
        time.sleep(max(seconds, 0))

    def now(self) -> datetime:
        return timezone.now()
