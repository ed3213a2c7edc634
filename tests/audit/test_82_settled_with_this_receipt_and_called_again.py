"""AUDIT 82: two people have settled a payment with its receipt, and the statement calls them again.

A failed attempt was paid after all; two people say so and name the receipt. The attempt stays
failed and holds no receipt, so the statement of the day finds "closed as failed, paid by M-Pesa"
for the very same receipt and raises the review anew (audit 38: a person is called to what is over).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.statement import read_statement
from disbursements.tests.books import ACTIVE, BookOfMifos, StatementFile, by_hand, sent_attempt
from disbursements.tests.making import make_partner, make_product
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanTracking, ReviewReason
from tests.audit.test_31_mends_of_the_first import LATE, settle_by_people
from tests.audit.test_61_called_to_a_loan_that_nobody_can_let_go import compare

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
DEAD = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")


@pytest.mark.parametrize(
    ("receipt", "review"), [("SGH7K2M9QD", ""), ("SGH7K2M9QE", ReviewReason.CONTRADICTION)]
)
def test_only_another_receipt_is_news(
    receipt: str, review: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    umoja = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(umoja)
    attempt = sent_attempt(umoja)
    apply_verdict(attempt.pk, DEAD, now=timezone.now())
    apply_verdict(attempt.pk, LATE, now=timezone.now())
    settle_by_people(attempt, "paid", "SGH7K2M9QD")
    assert LoanTracking.objects.get().review_reason == ""
    mifos = BookOfMifos()  # and it is recorded by hand
    mifos.holds(attempt.loan_tracking, ACTIVE, by_hand(receipt_number="SGH7K2M9QD"))
    file = StatementFile()
    file.pays(attempt, receipt=receipt)
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    assert LoanTracking.objects.get().review_reason == review
