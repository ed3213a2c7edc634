"""The queue: workers in processes of their own do every step, and a dead one is replaced."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from disbursements import handover
from disbursements.handover import Job
from disbursements.models import DisbursementRequest
from partners.models import Partner
from sandbox.world import generate
from tests.journeys.conftest import SHORT_CLOCK, Open, Stage

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[2]
Hire = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def hire(
    child_environment: dict[str, str], live_site: str, sandbox: Any, settings: Any, tmp_path: Path
) -> Iterator[Hire]:
    """Return how to start a worker; all are gone before the database is emptied."""
    if connection.vendor != "postgresql":
        pytest.skip("the queue is Procrastinate's, which needs PostgreSQL")
    settings.LOANPOLL_TASKS = "queue"
    _forget_all_jobs()
    clock = {name: str(seconds) for name, seconds in SHORT_CLOCK.items()}
    environment = {
        **child_environment,
        **clock,
        "LOANPOLL_TASKS": "queue",
        "LOANPOLL_STATUS_QUERY_AFTER": "3600",
        "LOANPOLL_POLL_INTERVAL": "1",
        "PUBLIC_BASE_URL": live_site,
        "MPESA_SANDBOX_URL": sandbox.mpesa_url,
    }
    hired: list[subprocess.Popen[bytes]] = []

    def worker(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "worker", *arguments]
        with (tmp_path / f"worker-{len(hired)}").open("wb") as log:
            hired.append(subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=log))
        return hired[-1]

    yield worker
    for each in hired:
        each.terminate()
    for each in hired:
        each.wait(30)
    _forget_all_jobs()


def _forget_all_jobs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def finish(stage: Stage) -> None:
    stage.sandbox.wait_until(stage.is_done, seconds=60)


def test_two_workers_take_loans_from_approval_to_mifos_without_a_pass(
    open_stage: Open, hire: Hire
) -> None:
    stage = open_stage(generate(tenants=2, loans=40, seed=5), mifos_concurrency=4)
    hire("--concurrency", "8")
    hire("--concurrency", "8")

    finish(stage)

    books = stage.books()
    assert books.paid == stage.sample.expected_debits
    assert books.recorded == set(stage.sample.expected_debits)
    assert rows("SELECT task_name FROM procrastinate_jobs WHERE status = 'failed'") == []


def test_a_cron_pass_beside_the_workers_pays_nothing_twice(open_stage: Open, hire: Hire) -> None:
    stage = open_stage(generate(tenants=1, loans=20, seed=6), mifos_concurrency=4)
    hire("--concurrency", "8")

    stage.sync(2)
    finish(stage)

    assert stage.books().paid == stage.sample.expected_debits


def test_the_work_of_a_killed_worker_is_taken_over(open_stage: Open, hire: Hire) -> None:
    stage = open_stage(
        generate(tenants=1, loans=12, seed=7, unpayable_share=0), mifos_concurrency=4
    )
    stage.sandbox.options(mpesa_latency=1.0)
    first = hire("--concurrency", "4")
    stage.sandbox.wait_until(lambda: stage.sandbox.count("mpesa", "b2c") >= 2, seconds=60)

    first.send_signal(signal.SIGKILL)
    first.wait(10)
    assert rows("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'")
    stage.sandbox.options(mpesa_latency=0)
    _let_time_pass()
    hire("--concurrency", "4")
    stage.sandbox.wait_until(lambda: _is_done_by_sweeps(stage), seconds=60)

    assert stage.books().paid == stage.sample.expected_debits


def test_what_a_killed_worker_was_recording_waits_for_no_lease(
    open_stage: Open, hire: Hire
) -> None:
    stage = open_stage(generate(tenants=1, loans=4, seed=9, unpayable_share=0), mifos_concurrency=4)
    stage.sandbox.add_fault(call="disburse", outcome="H08")  # no answer, and nothing recorded
    first = hire("--concurrency", "4")
    stage.sandbox.wait_until(lambda: stage.sandbox.count("mifos", "disburse") >= 1, seconds=60)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    assert rows("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND task_name = 'record'")
    stage.sandbox.clear_faults()
    _let_time_pass()
    hire("--concurrency", "4")
    stage.sandbox.wait_until(lambda: _is_done_by_sweeps(stage), seconds=60)

    assert stage.books().recorded == set(stage.sample.expected_debits)


def test_a_worker_that_is_told_to_stop_finishes_what_it_began(open_stage: Open, hire: Hire) -> None:
    stage = open_stage(generate(tenants=1, loans=8, seed=8, unpayable_share=0), mifos_concurrency=4)
    stage.sandbox.options(mpesa_latency=1.0)
    worker = hire("--concurrency", "4")
    stage.sandbox.wait_until(lambda: stage.sandbox.count("mpesa", "b2c") >= 1, seconds=60)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(30) == 0
    assert rows("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'") == []
    assert not DisbursementRequest.objects.filter(status="submitting").exists()


def _let_time_pass() -> None:
    """The dead worker's silence and its sends grow old."""
    long_ago = timezone.now() - timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = %s", [long_ago])
    DisbursementRequest.objects.filter(status="submitting").update(last_sent_at=long_ago)


def _is_done_by_sweeps(stage: Stage) -> bool:
    """Hand over at once what each minute brings by itself."""
    for partner in Partner.objects.all():
        handover.partner(Job.SWEEP, partner.pk)
    return stage.is_done()
