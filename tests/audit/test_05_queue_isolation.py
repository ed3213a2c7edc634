"""AUDIT 5: in queue mode one partner's hanging Mifos X takes every thread of a worker."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from disbursements import jobs


def test_only_one_thread_waits_for_a_mifos_x_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()

    def begin(partner_id: int) -> Any:
        if partner_id == 1:
            hangs.wait(10)  # Preflight.read: three questions of up to 65 s each
        return jobs.Visit(shop=None, books=None, ends_at=time.monotonic() + 60)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "_begin_visit", begin)
    visits = jobs.Visits()

    def job(partner_id: int) -> int:
        visits.of(partner_id)
        return partner_id

    with ThreadPoolExecutor(max_workers=4) as worker:  # manage.py worker --concurrency 4
        for _ in range(6):
            worker.submit(job, 1)  # pay, record, resend jobs of the partner that hangs
        other = worker.submit(job, 2)  # a job of any other partner
        try:
            assert other.result(timeout=2) == 2
        finally:
            hangs.set()
