"""The comparison sees every way in which three books can differ, and says so."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from demo.books import Kind, compare
from demo.cast import assemble
from demo.verdict import judge
from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan, make_partner

pytestmark = pytest.mark.django_db


class Box:
    """The books of a sandbox, as plain lists."""

    def __init__(self) -> None:
        self.paid: list[dict[str, Any]] = []
        self.booked: list[dict[str, Any]] = []

    def debits(self) -> list[dict[str, Any]]:
        return self.paid

    def book(self) -> dict[str, Any]:
        return {"transactions": self.booked}


@pytest.fixture
def attempt():
    partner = make_partner(slug="umoja")
    loan = make_loan(partner=partner, loan_id=10_401, loan_amount=Decimal(12_500))
    return make_attempt(
        loan=loan,
        status=AttemptStatus.COMPLETED,
        amount=Decimal(12_250),
        principal=Decimal(12_500),
    )


@pytest.fixture
def box(attempt) -> Box:
    """The other two books, in agreement with the attempt."""
    box = Box()
    box.paid.append(
        {
            "ocid": attempt.originator_conversation_id,
            "receipt": attempt.transaction_receipt,
            "amount": "12250.00",
            "msisdn": attempt.msisdn,
            "reversed": False,
        }
    )
    box.booked.append(
        {
            "tenant": "umoja",
            "loan_id": 10_401,
            "external_id": attempt.mifos_external_id,
            "receipt": attempt.transaction_receipt,
            "amount": "12500.00",
            "net": "12250.00",
            "reversed": False,
        }
    )
    return box


def kinds(box: Box) -> list[Kind]:
    return [each.kind for each in compare(box).differences]  # type: ignore[arg-type]  # a stand-in


def test_a_payment_that_is_in_all_three_books_agrees(box):
    result = compare(box)

    assert result.differences == []
    for book in (result.mpesa, result.ours, result.mifos, result.matched):
        assert (book.payments, book.kes) == (1, Decimal(12_250))


def test_a_debit_under_no_id_of_ours_is_seen(box):
    box.paid.append({**box.paid[0], "ocid": "never-ours", "receipt": "SGH0000009"})

    assert kinds(box) == [Kind.NOT_OURS]


def test_a_second_debit_of_one_loan_is_seen(box):
    box.paid.append({**box.paid[0], "receipt": "SGH0000009"})

    assert kinds(box) == [Kind.TWICE]


def test_a_receipt_without_a_debit_is_seen(box):
    box.paid.clear()

    assert kinds(box) == [Kind.NO_DEBIT]


@pytest.mark.parametrize(
    "change", [{"amount": "12251.00"}, {"receipt": "SGH0000009"}, {"msisdn": "254700000001"}]
)
def test_another_amount_receipt_or_phone_is_seen(box, change):
    box.paid[0].update(change)

    assert kinds(box) == [Kind.OTHER_PAYMENT]


def test_a_payment_that_mifos_does_not_show_is_seen(box):
    box.booked[0]["reversed"] = True

    assert kinds(box) == [Kind.NOT_RECORDED]


def test_a_disbursal_by_hand_is_seen(box):
    box.booked.append({**box.booked[0], "external_id": None, "receipt": "HAND1"})

    assert kinds(box) == [Kind.BY_HAND]


def test_another_principal_in_mifos_is_seen(box):
    box.booked[0]["amount"] = "12250.00"

    assert kinds(box) == [Kind.OTHER_AMOUNT]


def test_money_paid_for_a_loan_we_hold_as_failed_is_seen(box, attempt):
    type(attempt).objects.update(status=AttemptStatus.FAILED, transaction_receipt="")
    box.booked.clear()

    assert kinds(box) == [Kind.NOT_OURS]


def test_a_difference_the_story_does_not_name_is_a_disagreement(box):
    box.booked.clear()

    verdict = judge(assemble(today=date(2026, 11, 23)), compare(box), not_ended=[])

    assert [each.kind for each in verdict.undeclared] == [Kind.NOT_RECORDED]
    assert not verdict.books_agree


def test_a_named_exception_that_did_not_happen_is_a_disagreement(box):
    verdict = judge(assemble(today=date(2026, 11, 23)), compare(box), not_ended=[])

    assert verdict.undeclared == []
    assert len(verdict.not_seen) == len(verdict.declared)
    assert not verdict.books_agree
