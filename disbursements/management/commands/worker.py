"""`manage.py worker`: does the jobs of LOANPOLL_TASKS=queue until it is told to stop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from procrastinate import App
from procrastinate.app import WorkerOptions
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from disbursements import handover
from disbursements.handover import Job
from disbursements.jobs import DEAD_AFTER_SECONDS, HEARTBEAT_SECONDS

CONCURRENCY = 16
SPARE_THREADS = 4  # the queue's own short calls
# A job for later is found by looking; one for now announces itself.
LOOK_EVERY_SECONDS = 0.5


class Command(BaseCommand):
    help = "Do the jobs of the queue. SIGTERM: finish what runs, begin nothing, exit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help="jobs at once")
        queues = ", ".join(Job)
        parser.add_argument("--queues", default="", help=f"comma list of: {queues} (empty = all)")

    def handle(self, *args: Any, concurrency: int, queues: str, **options: Any) -> None:
        if not handover.is_on():
            raise CommandError("There is no queue: set LOANPOLL_TASKS=queue.", returncode=2)
        asyncio.run(_work(concurrency=max(1, concurrency), queues=_known(queues)))


def _known(queues: str) -> list[str]:
    chosen = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = sorted(set(chosen) - set(Job))
    if unknown:
        said = f"No queue '{', '.join(unknown)}'. Queues: {', '.join(Job)}."
        raise CommandError(said, returncode=2)
    return chosen


async def _work(*, concurrency: int, queues: list[str]) -> None:
    # Sync jobs run in the loop's own executor, which would hold them to cores + 4 threads.
    threads = ThreadPoolExecutor(concurrency + SPARE_THREADS, thread_name_prefix="job")
    asyncio.get_running_loop().set_default_executor(threads)
    options: WorkerOptions = {
        "name": "loanpoll",
        "concurrency": concurrency,
        "delete_jobs": "successful",
        "fetch_job_polling_interval": LOOK_EVERY_SECONDS,
        "update_heartbeat_interval": HEARTBEAT_SECONDS,
        "stalled_worker_timeout": DEAD_AFTER_SECONDS,
    }
    if queues:
        options["queues"] = queues
    async with _app_of_worker().open_async() as worker_app:
        await worker_app.run_worker_async(**options)


def _app_of_worker() -> App:
    """Return an app that fetches jobs over its own connections.

    The jobs themselves go on handing over through Django's connection, and so in the transaction
    of the state they write. `replace_connector` would take that from them.
    """
    connector = app.connector
    if not isinstance(connector, DjangoConnector):
        raise CommandError("The queue is not set up over Django's database.", returncode=2)
    return app.with_connector(connector.get_worker_connector())
