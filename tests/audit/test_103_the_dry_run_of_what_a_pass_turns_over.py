"""AUDIT 103: the dry run says "would pay" of what the pass holds, and the other way round.

A pass first turns over what changed since the last one: a cancelled loan that waits again is
reopened, a hold whose day has come is lifted (the loan then stands among the free, by its
approval), one whose day has not come is left, and a new loan that has the phone number of one that
is known holds both. The dry run takes the rows as they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements import passes, rehearse, serve
from disbursements.reports import LoanOutcome
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa
from loans.models import ApprovalState, HoldReason, LoanApproval, LoanStatus, LoanTracking
from mifos.client import LoanDetail
from partners.models import LoanProductAutoDisbursalConfig, Partner

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Listing(FakeMifos):
    def approved_loans(self) -> Iterator[list[LoanDetail]]:
        yield list(self.loans.values())


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> tuple[Listing, FakeMpesa]:
    mifos, mpesa = Listing(), FakeMpesa()
    for module in (rehearse, serve):
        monkeypatch.setattr(module, "mifos_client", lambda _: mifos)
    monkeypatch.setattr(serve, "mpesa_client", lambda _: mpesa)
    return mifos, mpesa


@pytest.fixture
def partner() -> Partner:
    partner = make_partner(slug="umoja")
    make_product(partner)
    return partner


def cancelled(partner: Partner) -> list[LoanTracking]:
    return [make_loan(partner, status=LoanStatus.CANCELLED)]


def over_yesterdays_limit(partner: Partner) -> list[LoanTracking]:
    """The elder was over the limit yesterday; today it is its turn before the new one."""
    Partner.objects.update(daily_limit=Decimal(15_000), mifos_concurrency=1)
    now = timezone.now()
    elder = make_loan(
        partner,
        approved_on=timezone.localdate() - DAY,
        hold_reason=HoldReason.DAILY_LIMIT,
        decided_at=now,
        next_attempt_at=now - HOUR,
    )
    return [elder, make_loan(partner, decided_at=now)]


def looked_at_a_moment_ago(partner: Partner) -> list[LoanTracking]:
    """It had no phone number. Mifos X has one now, and is asked again in some minutes."""
    now = timezone.now()
    return [
        make_loan(
            partner,
            hold_reason=HoldReason.PHONE_MISSING,
            decided_at=now,
            next_attempt_at=now + HOUR,
        )
    ]


def a_new_loan_with_this_number(partner: Partner) -> list[LoanTracking]:
    known = make_loan(partner, decided_at=timezone.now())
    return [known, make_loan(partner, phone_number=known.phone_number)]


def approved_for_less(partner: Partner) -> list[LoanTracking]:
    """Its fees were raised with its principal, so the net is the same: the approval is over."""
    LoanProductAutoDisbursalConfig.objects.update(auto_approve=False)
    loan = make_loan(partner, decided_at=timezone.now())
    LoanApproval.objects.create(
        loan_tracking=loan,
        state=ApprovalState.APPROVED,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        cause=HoldReason.NEEDS_APPROVAL,
        requested_by="system",
        requested_at=timezone.now(),
        decided_by=User.objects.create(username="bob"),
        decided_at=timezone.now(),
    )
    loan.loan_amount += 1_000
    return [loan]


@pytest.mark.parametrize(
    "case",
    [
        cancelled,
        over_yesterdays_limit,
        looked_at_a_moment_ago,
        a_new_loan_with_this_number,
        approved_for_less,
    ],
)
def test_the_dry_run_says_what_the_pass_does(case: Any, partner: Partner, peers: Any):
    mifos, mpesa = peers
    loans = case(partner)
    for loan in loans:
        mifos.know(loan)
    if case is a_new_loan_with_this_number:
        LoanTracking.objects.filter(pk=loans[1].pk).delete()  # no poll has found it yet

    told = passes.run_sync(triggered_by="schedule", partners=("umoja",), dry_run=True)
    passes.run_sync(triggered_by="schedule", partners=("umoja",))

    [rehearsed] = told.process.results
    would = {one.loan_id for one in rehearsed.loans if one.outcome == LoanOutcome.WOULD_PAY}
    sent = LoanTracking.objects.filter(status=LoanStatus.PROCESSING)
    assert len(mpesa.orders) == sent.count()
    assert would == set(sent.values_list("loan_id", flat=True))
