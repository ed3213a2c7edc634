"""Hands work to the workers (LOANPOLL_TASKS=queue), in the transaction that makes it due.

Inline, nothing is handed over: the next pass finds the same work in the committed state. A job
carries an id and never a fact, so one that runs twice, late or for nothing is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job as QueueJob
from procrastinate.types import JSONDict

from disbursements.models import AttemptStatus, DisbursementRequest
from partners.models import Partner


class Job(StrEnum):
    """What a worker can be asked to do. The value names the task and its queue."""

    POLL = "poll"  # one partner: fetch, and hand over what is due
    SWEEP = "sweep"  # one partner: hand over what is due
    LOOK = "look"  # one loan that a hook names
    PAY = "pay"  # one loan
    RESEND = "resend"  # one attempt, under its own id
    SETTLE = "settle"  # one callback
    RECORD = "record"  # one paid attempt
    ASK = "ask"  # one silent attempt


# Higher goes first: what is begun is finished before more is begun.
PRIORITIES = {
    Job.POLL: 50,
    Job.SWEEP: 50,
    Job.SETTLE: 40,
    Job.RECORD: 30,
    Job.ASK: 20,
    Job.LOOK: 20,
    Job.RESEND: 10,
    Job.PAY: 0,
}
# Every so many loans of one partner stand behind the next ones of all other partners.
FAIR_SHARE = 50
# A loan is handed to a worker this long before the pace lets it be sent: time to read it again.
LEAD_SECONDS = 2.0
BATCH = 1000


def is_on() -> bool:
    """Do workers take the work?"""
    return bool(settings.LOANPOLL_TASKS == "queue")


def after_change(attempt: DisbursementRequest, columns: Mapping[str, object]) -> None:
    """Hand on an attempt of which these columns were just written, if that makes work due."""
    if not is_on():
        return
    if columns.get("status") == AttemptStatus.PAID:
        attempts(Job.RECORD, [(attempt.pk, attempt.loan_tracking_id)])
    elif _asks_now(columns.get("next_query_at")):
        attempts(Job.ASK, [(attempt.pk, attempt.loan_tracking_id)])


def settle(callback_id: int) -> bool:
    """Hand on a callback kept in this transaction. False inline: then the caller reads it."""
    if is_on():
        hand_over([_job(Job.SETTLE, callback_id)])
    return is_on()


def look(partner_id: int, loan_id: int) -> bool:
    """Hand on a hook. False inline: then the caller looks itself. `loan_id` is Mifos X's."""
    if is_on():
        name = f"{partner_id}/{loan_id}"
        task_kwargs: JSONDict = {"partner_id": partner_id, "loan_id": loan_id}
        hand_over([_queue_job(Job.LOOK, name, task_kwargs)])
    return is_on()


def partner(job: Job, partner_id: int) -> None:
    """Hand over a poll or a sweep. One of them at a time for each partner."""
    hand_over([_job(job, partner_id, lock=f"partner:{partner_id}")])


def callbacks(ids: Iterable[int]) -> int:
    """Hand over these callbacks; return how many were not waiting already."""
    return hand_over(_job(Job.SETTLE, pk) for pk in ids)


def attempts(job: Job, due: Iterable[tuple[int, int]]) -> int:
    """Hand over these attempts, given with their loans' keys."""
    return hand_over(_job(job, pk, lock=loan_lock(loan_pk)) for pk, loan_pk in due)


def payments(partner: Partner, loans: Sequence[int], *, now: datetime) -> int:
    """Hand over loans to pay, each for the time at which the pace can take it.

    So no worker sleeps over a slow shortcode, and a partner with many loans stands behind one
    with few.
    """
    per_second = float(partner.mpesa_payments_per_second)
    return hand_over(
        _job(
            Job.PAY,
            pk,
            lock=loan_lock(pk),
            at=now + timedelta(seconds=max(0.0, rank / per_second - LEAD_SECONDS)),
            priority=PRIORITIES[Job.PAY] - rank // FAIR_SHARE,
        )
        for rank, pk in enumerate(loans)
    )


def loan_lock(loan_pk: int) -> str:
    """Return the name under which all jobs of one loan run one after the other."""
    return f"loan:{loan_pk}"


def hand_over(jobs: Iterable[QueueJob]) -> int:
    """Put jobs in the queue, in the caller's transaction. Those that wait already are left out."""
    wanted = list(jobs)
    waiting = _waiting({job.task_name for job in wanted}) if len(wanted) > 1 else set()
    new = [job for job in wanted if job.queueing_lock not in waiting]
    for start in range(0, len(new), BATCH):
        _put(new[start : start + BATCH])
    return len(new)


def _put(jobs: list[QueueJob]) -> None:
    try:
        # A block of its own: a job that waits already is an error to PostgreSQL, and it would
        # undo the caller's whole transaction.
        with transaction.atomic():
            app.job_manager.batch_defer_jobs(jobs)
    except AlreadyEnqueued:
        if len(jobs) > 1:  # another sweep was faster with some of them
            for job in jobs:
                with suppress(AlreadyEnqueued):
                    _put([job])


def _waiting(names: set[str]) -> set[str | None]:
    from procrastinate.contrib.django.models import ProcrastinateJob  # not installed inline

    unfinished = ProcrastinateJob.objects.filter(task_name__in=names, status__in=["todo", "doing"])
    return set(unfinished.values_list("queueing_lock", flat=True))


def _job(
    job: Job,
    pk: int,
    *,
    lock: str | None = None,
    at: datetime | None = None,
    priority: int | None = None,
) -> QueueJob:
    return _queue_job(job, str(pk), {"pk": pk}, lock=lock, at=at, priority=priority)


def _queue_job(
    job: Job,
    name: str,
    task_kwargs: JSONDict,
    *,
    lock: str | None = None,
    at: datetime | None = None,
    priority: int | None = None,
) -> QueueJob:
    return QueueJob(
        queue=job.value,
        task_name=job.value,
        task_kwargs=task_kwargs,
        lock=lock,
        queueing_lock=f"{job}:{name}",
        scheduled_at=at,
        priority=PRIORITIES[job] if priority is None else priority,
    )


def _asks_now(at: object) -> bool:
    """A later question needs no job yet: the sweep finds it in its minute, if it is still due."""
    return isinstance(at, datetime) and at <= timezone.now()
