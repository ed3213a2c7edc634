"""`manage.py verify_audit`: proves that the audit trail is whole, and the rows follow from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from disbursements.presenting import check_partners
from disbursements.replay import attempt_faults
from loans.models import LoanTracking
from loans.verify import Fault, Verification, verify_loans

SCHEMA = "loanpoll.verify-audit/1"


class Command(BaseCommand):
    help = "Compute every digest of the audit trail again and replay it. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loan", type=int, metavar="ID", help="id of loan_tracking")
        parser.add_argument(
            "--partner", action="append", default=[], metavar="SLUG", help="only this; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        check_partners(options["partner"])
        loans = LoanTracking.objects.all()
        if options["partner"]:
            loans = loans.filter(partner__slug__in=options["partner"])
        if options["loan"] is not None:
            loans = loans.filter(pk=options["loan"])
            if not loans.exists():
                raise CommandError(f"There is no loan {options['loan']}.", returncode=2)
        result = verify_loans(loans, attempts=attempt_faults)
        self.stdout.write(_document(result) if options["json"] else _text(result))
        if not result.is_intact:
            broken = len({fault.loan_tracking_id for fault in result.faults})
            raise CommandError(f"The audit trail of {broken} loan(s) is broken.", returncode=1)


def _text(result: Verification) -> str:
    checked = f"{result.loans} loans, {result.events} events"
    if result.is_intact:
        return f"Intact: {checked}. Digest of all heads: {result.heads}"
    return "\n".join([*(_line(fault) for fault in result.faults), f"Checked {checked}."])


def _line(fault: Fault) -> str:
    event = f", event {fault.event_id}" if fault.event_id else ""
    return (
        f"loan {fault.loan_id} of {fault.partner} (id {fault.loan_tracking_id}){event}: "
        f"{fault.problem}"
    )


def _document(result: Verification) -> str:
    document = {
        "schema": SCHEMA,
        "success": result.is_intact,
        "loans": result.loans,
        "events": result.events,
        "heads": result.heads,
        "faults": [asdict(fault) for fault in result.faults],
    }
    return json.dumps(document, indent=2)
