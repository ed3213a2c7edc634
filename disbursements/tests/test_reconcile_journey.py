"""A whole pass over real HTTP, then the three books: equal, until somebody touches one of them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import call_command

from disbursements.models import TriggeredBy
from disbursements.passes import run_sync
from disbursements.tests.books import StatementFile
from loans.models import LoanStatus, LoanTracking
from mpesa.tokens import forget_warm_tokens
from sandbox.world import partner_file, small_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid_day(sandbox, live_site, settings, tmp_path):
    """Five loans, paid and recorded; the sandbox."""
    forget_warm_tokens()
    settings.MPESA_SANDBOX_URL = sandbox.mpesa_url
    sample = small_world()
    sandbox.load(sample.document)
    file = partner_file(sample, sandbox, tmp_path / "partners.json")
    call_command("load_partners", str(file), stdout=io.StringIO())
    for _ in range(2):
        run_sync(triggered_by=TriggeredBy.SCHEDULE, wait_seconds=10)
        sandbox.wait_for_callbacks()
    return sandbox


def reconcile(*arguments):
    out = io.StringIO()
    call_command("reconcile", "--json", *arguments, stdout=out, stderr=io.StringIO())
    return json.loads(out.getvalue())


def statement_of(sandbox, folder):
    """The statement that the portal would export: every payment of the sandbox's own ledger."""
    file = StatementFile(shortcode="600997")
    for debit in sandbox.debits():
        file.row(
            debit["receipt"],
            amount=Decimal(debit["amount"]),
            party=f"{debit['msisdn']} - CUSTOMER",
            at=datetime.fromtimestamp(debit["at"], UTC),
        )
    return str(file.write(folder))


def test_after_a_good_pass_the_three_books_agree(paid_day, tmp_path):
    document = reconcile("--statement", statement_of(paid_day, tmp_path), "--date", "today")

    assert document["success"]
    assert document["differences"] == []
    assert document["matched"]["payments"] == 5
    amounts = {book["amount"] for book in document["totals"].values()}
    assert len(amounts) == 1
    assert document["totals"]["loanPoll"] == document["totals"]["mifos"]


def test_what_people_do_behind_our_back_is_seen(paid_day, tmp_path):
    undone = LoanTracking.objects.filter(status=LoanStatus.DISBURSED).values_list(
        "loan_id", flat=True
    )[0]
    paid_day.command("umoja", undone, "undodisbursal", {"note": "by mistake"})

    document = reconcile("--date", "today")

    assert [(each["kind"], each["loanId"]) for each in document["differences"]] == [
        ("undone_in_mifos", undone)
    ]
    assert document["matched"]["payments"] == 4
