"""AUDIT 150: with --partner, the other lender's payments in a shared statement are "nobody's".

Two lenders pay from one shortcode, so one statement holds both. Compared for one of them, the
other's open payment is reported as a row that "no loan of ours fits", to be recorded in Mifos X by
hand, and counted in this lender's totals: staff pay or record what is under way.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command

from disbursements.reconcile import run
from disbursements.tests.books import BookOfMifos, StatementFile, sent_attempt
from disbursements.tests.making import make_partner, make_product

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good


def test_another_lenders_open_payment_is_not_called_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    tumaini = make_partner(slug="tumaini", mpesa_shortcode="600111", mifos_tenant_id="tumaini")
    make_product(tumaini)
    attempt = sent_attempt(tumaini)
    file = StatementFile()
    file.pays(attempt, receipt="SGH7K2M9QD")
    monkeypatch.setattr(run, "mifos_client", lambda _: BookOfMifos())
    said = io.StringIO()

    call_command(
        "reconcile",
        "--json",
        partner=["umoja"],
        statement=file.write(tmp_path),
        stdout=said,
    )

    document = json.loads(said.getvalue())
    assert "receipt_unknown_to_us" not in [one["kind"] for one in document["differences"]]
