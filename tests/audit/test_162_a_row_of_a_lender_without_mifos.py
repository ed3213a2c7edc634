"""AUDIT 162: a lender whose Mifos X is switched off: its open payment is "nobody's" on a statement.

"A payment is seen through whatever is taken away", the tick "configured" among it (audit 54): every
pass serves such a lender. The comparison of the books leaves it out, so its row on the statement of
a shared shortcode fits "no loan of ours", to be recorded by hand, and nobody hears that the open
payment was paid.
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
from partners.models import Partner

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good


@pytest.mark.parametrize("is_configured", [True, False])
def test_its_open_payment_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_configured: bool
) -> None:
    make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    tumaini = make_partner(slug="tumaini", mpesa_shortcode="600111", mifos_tenant_id="tumaini")
    make_product(tumaini)
    attempt = sent_attempt(tumaini)
    Partner.objects.filter(pk=tumaini.pk).update(is_mifos_configured=is_configured)
    file = StatementFile()
    file.pays(attempt, receipt="SGH7K2M9QD")
    monkeypatch.setattr(run, "mifos_client", lambda _: BookOfMifos())
    said = io.StringIO()

    call_command("reconcile", "--json", statement=file.write(tmp_path), stdout=said)

    kinds = [one["kind"] for one in json.loads(said.getvalue())["differences"]]
    assert "receipt_unknown_to_us" not in kinds
    attempt.loan_tracking.refresh_from_db()
    assert attempt.loan_tracking.review_reason  # somebody, or M-Pesa, says what became of it
