"""`manage.py resolve_review ID`: two different people settle an unknown outcome with evidence."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from disbursements.actors import actor_with
from disbursements.models import DisbursementRequest, ResolutionOutcome
from disbursements.resolve import ResolutionRefused, confirm, propose

PERMISSION = "disbursements.resolve_disbursementrequest"


class Command(BaseCommand):
    help = "Record what the M-PESA statement shows. ID is the id of loan_tracking."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, help="id of loan_tracking")
        parser.add_argument("--outcome", required=True, choices=ResolutionOutcome.values)
        parser.add_argument("--receipt", default="", help="M-Pesa receipt, needed for paid")
        parser.add_argument("--actor", required=True, help="who looked at the statement")
        parser.add_argument("--second-actor", required=True, help="who looked as well")
        parser.add_argument("--reason", required=True, help="what the statement shows")

    def handle(self, *args: Any, **options: Any) -> None:
        first = actor_with(options["actor"], PERMISSION, loan_pk=options["id"])
        second = actor_with(options["second_actor"], PERMISSION, loan_pk=options["id"])
        attempt = (
            DisbursementRequest.objects.filter(loan_tracking_id=options["id"])
            .order_by("-attempt_no")
            .first()
        )
        if attempt is None:
            raise CommandError(f"Loan {options['id']} has no payment to settle.", returncode=2)
        outcome, now = ResolutionOutcome(options["outcome"]), timezone.now()
        try:
            with transaction.atomic():
                facts = {"receipt": options["receipt"], "reason": options["reason"]}
                proposal = propose(attempt.pk, outcome=outcome, by=first, now=now, **facts)
                confirm(proposal.pk, by=second, now=now)
        except ResolutionRefused as exc:
            raise CommandError(str(exc), returncode=1) from exc
        self.stdout.write(f"Recorded as {outcome.label.lower()} by {first} and {second}.")
