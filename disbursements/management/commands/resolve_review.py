"""`manage.py resolve_review ID`: two different people settle an unknown outcome with evidence."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from disbursements.actors import actor_with
from disbursements.models import DisbursementRequest, ResolutionOutcome, ReviewResolution
from disbursements.questioned import attempt_to_settle
from disbursements.resolve import (
    RECORD_BY_HAND,
    ResolutionRefused,
    confirm,
    is_recorded_by_hand,
    propose,
)
from partners.management.database import DatabaseCommand

PERMISSION = "disbursements.resolve_disbursementrequest"


class Command(DatabaseCommand):
    help = "Record what the M-PESA statement shows. ID is the id of loan_tracking."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID", help="id of loan_tracking")
        parser.add_argument("--outcome", required=True, choices=ResolutionOutcome.values)
        parser.add_argument(
            "--attempt", type=int, metavar="N", help="its number, if not the one that waits"
        )
        parser.add_argument("--receipt", default="", help="M-Pesa receipt, for paid only")
        parser.add_argument("--actor", required=True, metavar="USER", help="who saw the statement")
        parser.add_argument(
            "--second-actor", required=True, metavar="USER", help="another person who saw it"
        )
        parser.add_argument(
            "--reason", required=True, metavar="TEXT", help="what the statement shows"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_contradiction(**options)
        first = actor_with(options["actor"], PERMISSION, loan_pk=options["id"])
        second = actor_with(options["second_actor"], PERMISSION, loan_pk=options["id"])
        attempt = _attempt_meant(options)
        outcome, now = ResolutionOutcome(options["outcome"]), timezone.now()
        try:
            with transaction.atomic():
                facts = {"receipt": options["receipt"], "reason": options["reason"]}
                proposal = propose(attempt.pk, outcome=outcome, by=first, now=now, **facts)
                confirm(proposal.pk, by=second, now=now)
        except ResolutionRefused as exc:
            raise CommandError(str(exc), returncode=1) from exc
        by_hand = is_recorded_by_hand(proposal)
        said = f"Recorded as {outcome.label.lower()} by {first} and {second}."
        said = f"{said} {RECORD_BY_HAND}" if by_hand else said
        document = _document(options, outcome) | {"recordByHand": by_hand}
        self.stdout.write(json.dumps(document, indent=2) if options["json"] else said)


def _attempt_meant(options: dict[str, Any]) -> DisbursementRequest:
    """Return the attempt that the statement speaks of: the one that waits, if none is named. Words
    that settled an earlier attempt, run once more, speak of no later one."""
    attempts = list(
        DisbursementRequest.objects.filter(loan_tracking_id=options["id"])
        .select_related("loan_tracking")
        .order_by("attempt_no")
    )
    likely = attempt_to_settle(attempts)
    if likely is None:
        raise CommandError(f"Loan {options['id']} has no payment to settle.", returncode=2)
    number = options["attempt"]
    if number is None and _is_repeated(options, likely):
        raise CommandError(
            f"The same words have settled an earlier attempt of loan {options['id']}. If the "
            f"statement speaks of attempt {likely.attempt_no} now, add "
            f"--attempt {likely.attempt_no}. Nothing was done.",
            returncode=1,
        )
    named = [one for one in attempts if one.attempt_no == number]
    if number is not None and not named:
        raise CommandError(f"Loan {options['id']} has no attempt {number}.", returncode=2)
    return (named or [likely])[0]


def _is_repeated(options: dict[str, Any], likely: DisbursementRequest) -> bool:
    said = ReviewResolution.objects.filter(
        disbursement_request__loan_tracking=likely.loan_tracking_id,
        outcome=options["outcome"],
        receipt=options["receipt"],
        reason=options["reason"][:500],
        confirmed_at__isnull=False,
    )
    return said.exclude(disbursement_request=likely).exists()


def _refuse_contradiction(
    *, outcome: str, receipt: str, actor: str, second_actor: str, **_: Any
) -> None:
    """Refuse what cannot be meant: a not-paid with a receipt would let the loan be paid again."""
    if receipt and outcome != ResolutionOutcome.PAID:
        raise CommandError(
            f"A receipt proves a payment. If {receipt} pays this loan: --outcome paid. If it pays "
            "another: leave --receipt out. Nothing was done.",
            returncode=1,
        )
    if actor == second_actor:
        raise CommandError(
            "--second-actor must be another person than --actor. Nothing was done.", returncode=1
        )


def _document(options: dict[str, Any], outcome: ResolutionOutcome) -> dict[str, Any]:
    return {
        "schema": "loanpoll.resolve-review/1",
        "success": True,
        "trackingId": options["id"],
        "outcome": outcome.value,
        "actors": [options["actor"], options["second_actor"]],
    }
