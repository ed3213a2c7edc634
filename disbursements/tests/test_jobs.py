"""What is handed to the workers: in the state's own transaction, and once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from disbursements import handover, jobs
from disbursements.handover import Job
from disbursements.models import AttemptStatus
from disbursements.moves import Move, locked_attempt, move_attempt, note_on_attempt
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_receipt
from loans.models import LoanEvent, LoanStatus, LoanTracking
from mpesa.models import CallbackKind, MpesaCallback

pytestmark = pytest.mark.django_db
queue_only = pytest.mark.skipif(
    "postgres" not in os.environ.get("DATABASE_URL", ""),
    reason="the queue is Procrastinate's, which needs PostgreSQL",
)
JOBS = "SELECT task_name, args, lock, queueing_lock, scheduled_at, priority FROM procrastinate_jobs"
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def queue(settings: Any) -> None:
    """Switch the queue on."""
    settings.LOANPOLL_TASKS = "queue"


def waiting() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"{JOBS} ORDER BY id")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{**row, "args": json.loads(row["args"])} for row in rows]


def pay_open_attempt() -> int:
    """Move an accepted attempt to paid; return its key."""
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING))
    now = timezone.now()
    with locked_attempt(attempt.pk) as (current, loan):
        columns = {
            "transaction_receipt": make_receipt(),
            "paid_at": now,
            "next_record_at": now,
            "next_query_at": None,
        }
        move = Move(
            to_status=AttemptStatus.PAID, actor="M-Pesa", reason="Paid", at=now, columns=columns
        )
        move_attempt(current, loan, move)
    return attempt.pk


@queue_only
def test_a_payment_hands_its_record_on_under_the_lock_of_its_loan(queue: None) -> None:
    pk = pay_open_attempt()

    [job] = waiting()

    loan = LoanTracking.objects.get()
    assert (job["task_name"], job["args"]) == ("record", {"pk": pk})
    assert job["lock"] == handover.loan_lock(loan.pk)


@queue_only
def test_a_job_of_a_transaction_that_was_rolled_back_is_never_seen(queue: None) -> None:
    with transaction.atomic():
        pay_open_attempt()
        seen_inside = len(waiting())
        transaction.set_rollback(True)

    assert seen_inside == 1
    assert waiting() == []


@queue_only
def test_a_job_that_waits_already_leaves_the_callers_transaction_whole(queue: None) -> None:
    with transaction.atomic():
        handover.settle(7)
        handover.settle(7)
        partner = make_partner()

    assert partner.pk
    assert [job["queueing_lock"] for job in waiting()] == ["settle:7"]


@queue_only
def test_those_that_wait_already_do_not_keep_others_of_their_batch_out(
    queue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    handover.callbacks([2])
    # As if another sweep had put number 2 in after this one had looked.
    monkeypatch.setattr(handover, "_waiting", lambda names: set())

    handover.callbacks([1, 2, 3])

    assert sorted(job["args"]["pk"] for job in waiting()) == [1, 2, 3]


@queue_only
def test_a_question_is_handed_on_when_it_is_due_and_not_before(queue: None) -> None:
    attempt = make_attempt(make_loan(status=LoanStatus.PROCESSING))

    note_on_attempt(attempt, next_query_at=timezone.now() + timedelta(minutes=5))
    assert waiting() == []
    note_on_attempt(attempt, next_query_at=timezone.now())

    assert [job["task_name"] for job in waiting()] == ["ask"]


@queue_only
def test_loans_are_handed_on_as_the_pace_takes_them_and_the_rest_stand_behind_other_partners(
    queue: None,
) -> None:
    partner = make_partner(mpesa_payments_per_second=10)
    now = timezone.now()

    handover.payments(partner, range(1, 121), now=now)

    made = waiting()
    due = [(job["scheduled_at"] - now).total_seconds() for job in made]
    assert due[0] == 0
    assert due[-1] == pytest.approx(119 / 10 - handover.LEAD_SECONDS)
    assert [made[rank]["priority"] for rank in (0, 49, 50, 119)] == [0, 0, -1, -2]


@queue_only
def test_a_kept_callback_is_handed_on_and_a_doubled_job_acts_once(queue: None) -> None:
    now = timezone.now()
    letter = MpesaCallback.objects.create(
        kind=CallbackKind.PAYMENT_RESULT, body="{}", received_at=now
    )

    jobs.settle(letter.pk)
    before = (LoanEvent.objects.count(), MpesaCallback.objects.get().applied_at)
    jobs.settle(letter.pk)

    assert before[1] is not None
    assert (LoanEvent.objects.count(), MpesaCallback.objects.get().applied_at) == before


@queue_only
@pytest.mark.parametrize("status", [LoanStatus.PROCESSING, LoanStatus.CANCELLED])
def test_a_pay_job_that_comes_late_reads_the_state_and_does_nothing(
    status: LoanStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = make_loan(status=status)
    monkeypatch.setattr(jobs, "pay_loan", lambda *_: pytest.fail("it would pay"))

    jobs.pay(loan.pk)


@queue_only
def test_the_sweep_hands_over_all_that_is_due_and_twice_is_once(queue: None) -> None:
    partner = make_partner()
    due = timezone.now() - timedelta(minutes=1)
    make_loan(partner, decided_at=timezone.now())
    accepted = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(accepted, next_query_at=due, accepted_at=timezone.now())
    paid = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(paid, status=AttemptStatus.PAID, next_record_at=due)

    jobs.sweep(partner.pk)
    jobs.sweep(partner.pk)

    assert sorted(job["task_name"] for job in waiting()) == ["ask", "pay", "record"]


@queue_only
def test_what_was_sent_is_seen_through_when_the_mpesa_settings_are_taken_away(queue: None) -> None:
    partner = make_partner(is_mpesa_configured=False)
    long_ago = timezone.now() - timedelta(hours=1)
    paid = make_loan(partner, status=LoanStatus.PROCESSING)
    make_attempt(paid, status=AttemptStatus.PAID, next_record_at=long_ago)
    sending = make_loan(partner, status=LoanStatus.PROCESSING)
    dead = make_attempt(sending, status=AttemptStatus.SUBMITTING, last_sent_at=long_ago)

    jobs.sweep(partner.pk)

    dead.refresh_from_db()
    assert dead.status == AttemptStatus.UNKNOWN
    assert "record" in [job["task_name"] for job in waiting()]


@queue_only
def test_nobody_is_asked_without_mpesa_settings(
    queue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = make_attempt(make_loan(make_partner(is_mpesa_configured=False)))
    monkeypatch.setattr(jobs, "ask_one", lambda *_: pytest.fail("it would ask"))

    jobs.ask(attempt.pk)


@queue_only
def test_the_command_tells_how_deep_and_how_old_the_queue_is(queue: None) -> None:
    handover.callbacks([1, 2])
    handover.payments(make_partner(mpesa_payments_per_second=1), range(1, 4), now=timezone.now())
    out = StringIO()

    call_command("queue", "--json", stdout=out)

    told = {row["task"]: row for row in json.loads(out.getvalue())["tasks"]}
    assert (told["settle"]["due"], told["settle"]["later"]) == (2, 0)
    assert told["pay"]["due"] == 3
    assert 0 <= told["settle"]["oldest_due_seconds"] < 60
    text = StringIO()
    call_command("queue", stdout=text)
    assert "settle" in text.getvalue()


@queue_only
def test_the_admin_shows_jobs_and_has_no_button_for_them(queue: None, admin_client: Client) -> None:
    handover.settle(7)

    page = admin_client.get("/admin/procrastinate/procrastinatejob/")

    html = page.content.decode()
    assert page.status_code == 200
    assert "settle" in html
    assert 'name="action"' not in html


def test_inline_nothing_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "hand_over", lambda *_: pytest.fail("handed over"))

    pay_open_attempt()

    assert not handover.settle(1)
    assert not handover.look(1, 1)


@pytest.mark.parametrize("name", ["worker", "queue"])
def test_without_a_queue_its_commands_say_so(name: str) -> None:
    with pytest.raises(CommandError, match="no queue") as refused:
        call_command(name)

    assert refused.value.returncode == 2


def test_a_worker_knows_its_queues(settings: Any) -> None:
    settings.LOANPOLL_TASKS = "queue"

    with pytest.raises(CommandError, match="No queue 'pya'") as refused:
        call_command("worker", "--queues", f"pya,{Job.SETTLE}")

    assert refused.value.returncode == 2


def test_a_queue_without_postgresql_stops_the_start(tmp_path: Path) -> None:
    given = {**os.environ, "LOANPOLL_TASKS": "queue", "DATABASE_URL": f"sqlite:///{tmp_path}/db"}
    ran = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "check"],
        env={**given, "DJANGO_SETTINGS_MODULE": "loanpoll_site.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "LOANPOLL_TASKS=queue needs PostgreSQL" in ran.stderr
