"""AUDIT 192: a payment beside which a person disbursed by hand is never over.

A record waits for its checker for days, and the loan officer disburses the loan by hand, with a
date and a receipt of his own. "Possible double payment" is right: two people look. The statement
shows one payment, or finance has the other one back, and they settle it. The next look into Mifos X
raises the same review anew, and so does each one after, once an hour for ever: neither people nor a
pass can end it, the loan stays "being processed", and the lender's shortcode can never change, for
a payment is open. (Audit 77 was about the same for an earlier cycle.)
"""

from __future__ import annotations

import pytest

from disbursements.models import AttemptStatus, ReviewResolution
from disbursements.tests.peers import disbursal_of
from disbursements.tests.test_record import Scene
from loans.models import LoanStatus, ReviewReason
from tests.audit.test_31_mends_of_the_first import settle_by_people

pytestmark = pytest.mark.django_db


def disbursed_by_hand() -> Scene:
    scene = Scene(mifos_command_id=55)
    scene.shows(scene.recorded(external_id="", receipt_number="CASH 17", transaction_id=91))
    assert not scene.record()
    assert scene.loan.review_reason == ReviewReason.DOUBLE_PAYMENT
    return scene


def test_what_two_people_have_settled_is_over() -> None:
    scene = disbursed_by_hand()
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)

    scene.record()

    assert scene.loan.review_reason == ""
    assert (scene.attempt.status, scene.loan.status) == ("completed", LoanStatus.DISBURSED)
    assert scene.mifos.orders == []


def test_nobody_has_settled_it() -> None:
    scene = disbursed_by_hand()

    scene.record()

    assert scene.loan.review_reason == ReviewReason.DOUBLE_PAYMENT
    assert scene.attempt.status == AttemptStatus.PAID


def test_another_disbursal_by_hand_is_news() -> None:
    scene = disbursed_by_hand()
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    scene.shows(scene.recorded(external_id="", receipt_number="CASH 18", transaction_id=92))

    scene.record()

    assert scene.loan.review_reason == ReviewReason.DOUBLE_PAYMENT
    assert scene.attempt.status == AttemptStatus.PAID


def test_what_was_settled_before_is_no_word_about_it() -> None:
    scene = Scene()
    settle_by_people(scene.attempt, "paid", scene.attempt.transaction_receipt)
    assert ReviewResolution.objects.count() == 1
    row = disbursal_of(scene.attempt, external_id="", receipt_number="CASH 17")
    scene.shows({"status_id": 300, "disbursals": (row,)})

    scene.record()

    assert scene.loan.review_reason == ReviewReason.DOUBLE_PAYMENT
