"""AUDIT 168: a payment whose row cannot be read is accused of missing in the statement.

A row with a status nobody knows, or a date in another spelling, is named as unreadable (audit 147).
The receipt in it is forgotten: of the same payment staff read "recorded in Mifos X, and the
statement lacks it", a review is raised on its loan, and on every loan of a statement in another
language. They undo disbursements of which the clients have the money.
"""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from disbursements.reconcile import run
from disbursements.tests.books import BookOfMifos, StatementFile, completed_attempt
from disbursements.tests.making import make_partner, make_product

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good


@pytest.mark.parametrize("status", ["Completed Successfully", "Imekamilika"])
def test_it_is_called_unreadable_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str
) -> None:
    umoja = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(umoja)
    attempt, other = completed_attempt(umoja), completed_attempt(umoja)
    mifos = BookOfMifos()
    mifos.records(attempt)
    mifos.records(other)
    file = StatementFile()
    party = f"{attempt.msisdn} - JANE WANJIKU"
    receipt = attempt.transaction_receipt
    file.row(receipt, amount=attempt.amount, party=party, status=status)
    file.pays(other, at=timezone.now() + timedelta(seconds=2))  # it speaks up to its last row
    monkeypatch.setattr(run, "mifos_client", lambda _: mifos)
    said = io.StringIO()

    call_command("reconcile", "--json", statement=file.write(tmp_path), stdout=said)

    document = json.loads(said.getvalue())
    assert [one["kind"] for one in document["differences"]] == ["unreadable_row"]
    attempt.loan_tracking.refresh_from_db()
    assert attempt.loan_tracking.review_reason == ""
