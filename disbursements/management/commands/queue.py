"""`manage.py queue`: how deep and how old the queue is, and what failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from disbursements import handover
from disbursements.depth import QueueDepth, queue_depths, workers_alive
from partners.management.database import unusable_database


class Command(BaseCommand):
    help = "Show the queue: jobs that are due, for later, being done and failed, by task."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if not handover.is_on():
            raise CommandError("There is no queue: LOANPOLL_TASKS=inline.", returncode=2)
        try:
            depths, workers = queue_depths(), workers_alive()
        except DatabaseError as exc:
            raise unusable_database(exc) from exc
        if options["json"]:
            document = {"workers": workers, "tasks": [asdict(each) for each in depths]}
            self.stdout.write(json.dumps({"schema": "loanpoll.queue/1", **document}))
            return
        self.stdout.write(f"{workers} workers alive")
        self.stdout.write(
            f"{'task':<16}{'due':>8}{'later':>8}{'doing':>8}{'failed':>8}  oldest due"
        )
        for each in depths:
            self.stdout.write(_line(each))


def _line(depth: QueueDepth) -> str:
    counts = f"{depth.due:>8}{depth.later:>8}{depth.doing:>8}{depth.failed:>8}"
    age = f"{depth.oldest_due_seconds:.0f} s" if depth.due else "-"
    return f"{depth.task:<16}{counts}  {age}"
