"""`manage.py process_pending_loans`."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from disbursements import passes, presenting
from loans.models import LoanTracking


class Command(BaseCommand):
    help = "Pay the loans that may be paid now, and settle and record what is due."

    def add_arguments(self, parser: CommandParser) -> None:
        presenting.add_arguments(parser, "dry-run", "limit", "loan", "budget", "cron")

    def handle(self, *args: Any, **options: Any) -> None:
        presenting.check_partners(options["partner"])
        if options["loan"] is not None:
            options["partner"] = _partners_of(**options)
        work = partial(
            passes.run_process,
            loan_id=options["loan"],
            limit=options["limit"],
            budget_seconds=options["budget"],
            dry_run=options["dry_run"],
        )
        presenting.show_process(self, presenting.run(self, work, options), options)


def _partners_of(*, loan: int, partner: list[str], **_: Any) -> list[str]:
    """Return whose loan it is: the other partners' Mifos X would only say they do not know it."""
    rows = LoanTracking.objects.filter(loan_id=loan)
    if partner:
        rows = rows.filter(partner__slug__in=partner)
    slugs = sorted(set(rows.values_list("partner__slug", flat=True)))
    if not slugs:
        raise CommandError(
            f"Loan {loan} was not found in Mifos X yet. Nothing was done. "
            "Next: manage.py fetch_pending_loans",
            returncode=2,
        )
    return slugs
