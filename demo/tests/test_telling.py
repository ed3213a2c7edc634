"""The lines of the demo are the trail's own words, each thing told once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from demo.telling import Teller, text_width
from disbursements.tests.making import make_loan, make_partner
from loans.audit import EventDraft, note_on_loan
from loans.models import LoanStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def teller(said) -> Teller:
    return Teller(say=said.append, began_at=timezone.now() - timedelta(seconds=9), width=60)


@pytest.fixture
def loan():
    return make_loan(partner=make_partner(slug="umoja"), loan_id=10_401)


def tell(loan, to_status: str, reason: str, **details: str) -> None:
    draft = EventDraft(
        from_status=loan.status,
        to_status=to_status,
        actor="system",
        reason=reason,
        at=timezone.now(),
        details=details,
    )
    note_on_loan(loan, drafts=[draft])


def test_a_move_of_an_attempt_and_of_its_loan_is_told_once(teller, said, loan):
    tell(loan, "paid", "M-Pesa paid KES 8000.00, receipt SGH7K2M9QD")
    tell(loan, LoanStatus.PROCESSING, "M-Pesa paid KES 8000.00, receipt SGH7K2M9QD")

    teller.follow()

    [line] = [line for line in said if "SGH7K2M9QD" in line]
    assert "umoja" in line
    assert "10401" in line
    assert line.endswith("-> paid, not yet in Mifos")


def test_what_was_told_is_not_told_again(teller, said, loan):
    tell(loan, LoanStatus.PENDING, "Held: no phone", hold="phone_missing")
    teller.follow()
    said.clear()

    assert teller.follow() == 0
    assert said == []


def test_a_loan_that_needs_a_person_is_told_loudly(teller, said, loan):
    tell(loan, loan.status, "Needs a person: two receipts", review="double_payment")

    teller.follow()

    assert said[-1].endswith("-> NEEDS A PERSON")


def test_the_first_disbursed_loan_is_timed(teller, said, loan):
    tell(loan, LoanStatus.DISBURSED, "Recorded in Mifos X")
    tell(loan, LoanStatus.DISBURSED, "Once more")

    teller.follow()

    assert teller.first_disbursed_seconds == pytest.approx(9, abs=3)
    assert len([line for line in said if "first loan" in line]) == 1


def test_a_narrow_terminal_still_gets_the_gist():
    assert text_width(80) == 44
    assert text_width(400) == 90
