"""AUDIT 105: a loan is judged by rules whose change is dated already and not yet committed.

The pass reads a loan again that was approved anew for more, while a partner's file that allows more
is being loaded. It is held by the old maximum, at an instant after the change's: to every later
pass it looks as if it was decided by the new one, and nobody judges it again (audit 36, whose lock
the first step takes, and this one does not). A release that comes between the judgement and its
writing is lost the same way: held by staff, and nobody holds it.
"""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from disbursements import process
from disbursements.process import pay_loan
from disbursements.serve import decide_for
from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, FakeMpesa, make_shop
from loans.eligibility import refusal_for
from loans.holding import hold_loan, release_loan
from loans.models import LoanTracking
from tests.audit.test_36_decided_by_old_rules import as_read_by_a_pass, raise_maximum


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_what_is_read_again_waits_for_a_change_that_is_not_yet_committed():
    partner = make_partner()
    make_product(partner, max_amount=Decimal(10_000))
    loan = make_loan(partner, loan_amount=Decimal(9_000), net_disbursal_amount=Decimal(9_000))
    decide_for(as_read_by_a_pass())
    mifos, mpesa = FakeMifos(), FakeMpesa()
    loan.loan_amount = loan.net_disbursal_amount = Decimal(12_500)
    mifos.know(loan)
    shop = make_shop(as_read_by_a_pass(), mifos, mpesa)
    is_dated = threading.Event()

    def change() -> None:
        with transaction.atomic():
            raise_maximum(15_000)
            is_dated.set()
            time.sleep(0.5)
        connection.close()

    changer = threading.Thread(target=change)
    changer.start()
    is_dated.wait(10)
    pay_loan(loan.pk, shop)
    changer.join(10)
    decide_for(as_read_by_a_pass())

    assert LoanTracking.objects.get().hold_reason == ""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_release_between_the_judgement_and_its_writing_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
):
    partner = make_partner()
    make_product(partner)
    loan = make_loan(partner)
    hold_loan(loan.pk, actor="alice", reason="a call", now=timezone.now())  # after `due_loans`
    mifos, mpesa = FakeMifos(), FakeMpesa()
    mifos.know(loan)
    releases: list[threading.Thread] = []

    def release() -> None:
        release_loan(loan.pk, actor="alice", reason="reached him", now=timezone.now())
        connection.close()

    def judged(**known: Any) -> Any:
        refusal = refusal_for(**known)
        releases.append(threading.Thread(target=release))
        releases[-1].start()
        releases[-1].join(0.5)
        monkeypatch.setattr(process, "refusal_for", refusal_for)
        return refusal

    monkeypatch.setattr(process, "refusal_for", judged)
    pay_loan(loan.pk, make_shop(as_read_by_a_pass(), mifos, mpesa))
    releases[0].join(10)
    decide_for(as_read_by_a_pass())

    row = LoanTracking.objects.get()
    assert (row.staff_hold, row.hold_reason) == ("", "")
