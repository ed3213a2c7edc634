"""`manage.py retry_disbursement ID`: a new attempt, for a failed loan only."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from disbursements.actors import actor_with
from disbursements.retry import RetryRefused, retry_loan
from loans.models import LoanTracking
from partners.management.database import DatabaseCommand


class Command(DatabaseCommand):
    help = "Let a failed loan be paid by a new attempt. ID is the id of loan_tracking."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID", help="id of loan_tracking")
        parser.add_argument("--actor", required=True, metavar="USER", help="who asks")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="kept in the history")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = actor_with(
            options["actor"], "disbursements.retry_disbursementrequest", loan_pk=options["id"]
        )
        try:
            loan = retry_loan(
                options["id"],
                actor=actor.get_username(),
                reason=options["reason"],
                now=timezone.now(),
            )
        except RetryRefused as exc:
            raise CommandError(str(exc), returncode=1) from exc
        said = f"Loan {loan.loan_id} waits again; the next pass checks and pays it."
        self.stdout.write(_document(loan) if options["json"] else said)


def _document(loan: LoanTracking) -> str:
    document = {
        "schema": "loanpoll.retry-disbursement/1",
        "success": True,
        "trackingId": loan.pk,
        "loanId": loan.loan_id,
        "status": loan.status,
    }
    return json.dumps(document, indent=2)
