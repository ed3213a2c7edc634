"""AUDIT 72: M-Pesa speaks of a success once more, after two people have settled it, and unheard.

Two failed attempts of a loan are both called paid. Two people settle attempt 1 as not paid; the
review goes on for attempt 2. Then M-Pesa says once more that attempt 1 is paid. It "was said
before", though before the settlement, so nothing is written. When attempt 2 is settled as well, the
review is over and the loan may be paid a third time (audit 52: what came after a settlement is in
doubt).
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.questioned import questioned
from disbursements.resolve import ResolutionRefused, confirm, propose
from disbursements.retry import retry_refusal
from disbursements.tests.making import make_attempt, make_loan
from disbursements.verdicts import Proof, Verdict
from loans.models import LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db


def paid(receipt: str) -> Verdict:
    return Verdict(proof=Proof.PAID, reason="late success", receipt=receipt, code="0")


def settle(attempt: DisbursementRequest) -> None:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("otieno", "achieng"))
    said = propose(
        attempt.pk,
        outcome=ResolutionOutcome.NOT_PAID,
        receipt="",
        reason="it is not on the statement",
        by=one,
        now=timezone.now(),
    )
    confirm(said.pk, by=other, now=timezone.now())


def test_a_success_that_is_repeated_after_the_settlement_is_in_doubt_again() -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    first, second = (
        make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040") for _ in range(2)
    )
    apply_verdict(first.pk, paid("SGH7K2M9QD"), now=timezone.now())
    apply_verdict(second.pk, paid("SGH7K2M9QE"), now=timezone.now())
    settle(first)

    apply_verdict(first.pk, paid("SGH7K2M9QD"), now=timezone.now())

    assert questioned(LoanTracking.objects.get()) == {first.pk, second.pk}
    settle(second)
    assert retry_refusal(LoanTracking.objects.get()) != ""


def test_nor_is_not_paid_confirmed_that_was_proposed_before_it() -> None:
    loan = make_loan(status=LoanStatus.FAILED)
    first, second = (
        make_attempt(loan, status=AttemptStatus.FAILED, result_code="2040") for _ in range(2)
    )
    apply_verdict(first.pk, paid("SGH7K2M9QD"), now=timezone.now())
    apply_verdict(second.pk, paid("SGH7K2M9QE"), now=timezone.now())
    settle(first)
    one, other = (User.objects.get(username=name) for name in ("otieno", "achieng"))
    facts = {"outcome": ResolutionOutcome.NOT_PAID, "receipt": "", "reason": "as I see it"}
    said = propose(second.pk, by=one, now=timezone.now(), **facts)
    apply_verdict(first.pk, paid("SGH7K2M9QD"), now=timezone.now())

    with pytest.raises(ResolutionRefused):
        confirm(said.pk, by=other, now=timezone.now())
