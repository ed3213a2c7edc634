"""AUDIT 212: people are told "M-Pesa paid it" of a payment that two of them say never was.

What was taken back before it was recorded stays `paid` (audit 207), and two people have settled
that Mifos X is told nothing. A day later they are called again: "Paid a day ago, and not recorded".
So does `reconcile`: "M-Pesa paid it (receipt NOT-...)", and of a recorded one, with a statement,
that its receipt is missing there. Who records it by hand then, as told, lets the client owe what he
never got. "What two people have settled is not called to again" (audit 201).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import DisbursementRequest, ResolutionOutcome
from disbursements.shown import complete
from disbursements.statement import read_statement
from disbursements.tests.books import (
    ACTIVE,
    WAITING,
    BookOfMifos,
    StatementFile,
    fresh,
    sent_attempt,
)
from disbursements.unrecorded import call_to_unrecorded
from partners.models import Partner
from tests.audit.test_18c_the_true_owner_of_a_receipt import recorded
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_61_called_to_a_loan_that_nobody_can_let_go import compare, umoja
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of
from tests.audit.test_211_taken_back_while_it_is_told import given_and_proven as unrecorded

__all__ = ["umoja"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_nobody_is_called_after_a_day() -> None:
    given = unrecorded()
    said_by_people(given, ResolutionOutcome.NOT_PAID)

    call_to_unrecorded(given.partner, now=timezone.now() + timedelta(hours=25))

    assert loan_of(given).review_reason == ""


def given_and_proven(
    partner: Partner, *, is_recorded: bool
) -> tuple[DisbursementRequest, DisbursementRequest]:
    given, proven = sent_attempt(partner), sent_attempt(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    if is_recorded:
        complete(given, recorded(given))
    apply_verdict(proven.pk, LATE, now=timezone.now())
    return given, proven


@pytest.mark.parametrize("is_recorded", [True, False])
def test_no_comparison_calls_anybody(
    umoja: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_recorded: bool
) -> None:
    mifos, file = BookOfMifos(), StatementFile()
    given, proven = given_and_proven(umoja, is_recorded=is_recorded)
    said_by_people(given, ResolutionOutcome.NOT_PAID)
    mifos.holds(loan_of(proven), WAITING)
    mifos.holds(loan_of(given), *([ACTIVE, recorded(given)] if is_recorded else [WAITING]))
    # It speaks up to its last row.
    last = timezone.localtime().replace(hour=23, minute=59, second=59)
    file.row(LATE.receipt, amount=proven.amount, party=proven.msisdn, at=last)
    read = read_statement(file.write(tmp_path))

    compare(umoja, mifos, monkeypatch)
    compare(umoja, mifos, monkeypatch, statement=read, shortcode="600111")

    assert loan_of(fresh(given)).review_reason == "", loan_of(given).error_message
