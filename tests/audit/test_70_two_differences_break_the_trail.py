"""AUDIT 70: calling people to two attempts of one loan breaks the loan's audit trail.

A statement row and a disbursement by hand speak of the open attempt, another row of the failed one.
The gravest is told first, and with it what the statement says of the open attempt is kept, by
readings of the loan of its own. The next attempt is then told of by the reading from before: its
event follows an old digest. The chain is broken for ever, so each later comparison finds a breach
in our own book and stops the payouts of every lender (reliability.md A3, R7, S19).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.claiming import Claim, Terms, claim
from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, TriggeredBy
from disbursements.reconcile import run as running
from disbursements.reconcile.run import Order, reconcile
from disbursements.reconcile.window import Window
from disbursements.replay import attempt_faults
from disbursements.retry import retry_loan
from disbursements.statement import read_statement
from disbursements.tests.books import (
    ACTIVE,
    BookOfMifos,
    StatementFile,
    by_hand,
    fresh,
    sent_attempt,
)
from disbursements.tests.making import make_partner, make_product
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanTracking
from loans.verify import verify_loans

pytestmark = pytest.mark.django_db(transaction=True)  # claims commit for good
DEAD = Verdict(proof=Proof.DEAD, reason="M-Pesa's status query says Cancelled")


def second_attempt(first: DisbursementRequest) -> DisbursementRequest:
    """The first attempt is proven dead, and a person has the loan paid again."""
    apply_verdict(first.pk, DEAD, now=timezone.now())
    retry_loan(first.loan_tracking_id, actor="wanjiru", reason="he waits", now=timezone.now())
    loan = LoanTracking.objects.select_related("partner").get(pk=first.loan_tracking_id)
    claimed = claim(
        loan.pk,
        seen=loan.partner,
        terms=Terms.of(loan),
        today=timezone.localdate(),
        triggered_by=TriggeredBy.SCHEDULE,
        now=timezone.now(),
    )
    assert isinstance(claimed, Claim), claimed
    return fresh(claimed.attempt)


def test_the_trail_is_whole_after_two_attempts_of_a_loan_are_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    partner = make_partner(slug="umoja", mpesa_shortcode="600111", mifos_tenant_id="umoja")
    make_product(partner)
    first = sent_attempt(partner)
    second = second_attempt(first)
    mifos = BookOfMifos()  # somebody lost patience, and disbursed it by hand
    mifos.holds(second.loan_tracking, ACTIVE, by_hand())
    monkeypatch.setattr(running, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(running, "overlap", lambda work, items, workers: [work(i) for i in items])
    file = StatementFile()
    file.pays(second, receipt="SGX0000002")
    hours_ago = timezone.now() - timedelta(hours=3)
    DisbursementRequest.objects.filter(pk=first.pk).update(created_at=hours_ago)
    file.pays(first, receipt="SGX0000001", at=hours_ago)
    days = Window(first=timezone.localdate(hours_ago), last=timezone.localdate())

    report = reconcile(
        Order(
            partners=(partner,),
            window=days,
            statement=read_statement(file.write(tmp_path)),
            shortcode="600111",
        ),
        now=timezone.now(),
    )

    kinds = sorted(each.kind.value for each in report.differences)
    assert kinds == ["disbursed_by_hand", "failed_but_paid", "missing_result"]
    assert fresh(second).status == AttemptStatus.UNKNOWN  # the statement is heeded
    found = verify_loans(LoanTracking.objects.all(), attempts=attempt_faults)
    assert [each.problem for each in found.faults] == []
