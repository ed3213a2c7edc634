"""AUDIT 200: a receipt that two people took back stops the payouts of every lender.

What was given the wrong receipt keeps it with `NOT-` before it (audit 18c). The trail still says
that it was paid with the receipt itself, so the next `reconcile`, every night, reads that as a hand
in the database: "breach in our own book", and all lenders are paused. `verify_audit` fails for
ever.

And whatever a person is called for of that loan from then on nobody can end: "paid" asks for a
receipt of ten letters and digits, and of "not paid" it says that M-Pesa proved it paid.
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus, DisbursementRequest, ResolutionOutcome
from disbursements.reconcile.coherence import breaches
from disbursements.reconcile.follow_up import follow_up
from disbursements.reconcile.proofs import unproven
from disbursements.reconcile.window import Window
from disbursements.resolve import ResolutionRefused
from disbursements.shown import complete
from disbursements.tests.books import sent_attempt
from disbursements.tests.making import make_partner, make_product
from loans.models import ReviewReason
from loans.review import raise_review
from partners.models import Partner
from tests.audit.test_18c_the_true_owner_of_a_receipt import recorded
from tests.audit.test_31_mends_of_the_first import LATE
from tests.audit.test_169_the_loan_that_a_receipt_was_given_to import said_by_people
from tests.audit.test_184_the_open_payment_that_a_receipt_was_given_to import loan_of

pytestmark = pytest.mark.django_db(transaction=True)
TRUE = "SGH7K2M9QX"


def lender() -> Partner:
    partner = make_partner()
    make_product(partner)
    return partner


def given_and_proven(partner: Partner) -> tuple[DisbursementRequest, DisbursementRequest]:
    """A payment to which two people gave the receipt of the other one, which M-Pesa then proved."""
    given, proven = sent_attempt(partner), sent_attempt(partner)
    said_by_people(given, ResolutionOutcome.PAID, LATE.receipt)
    complete(given, recorded(given))
    apply_verdict(proven.pk, LATE, now=timezone.now())
    return given, proven


def taken_back(partner: Partner) -> DisbursementRequest:
    given, _ = given_and_proven(partner)
    said_by_people(given, ResolutionOutcome.NOT_PAID)
    given.refresh_from_db()
    return given


def of_today() -> Window:
    today = timezone.localdate()
    return Window(first=today - timedelta(days=1), last=today)


def test_our_own_book_is_no_breach() -> None:
    taken_back(lender())

    assert [each.problem for each in breaches(of_today())] == []
    call_command("verify_audit", stdout=StringIO())


def test_a_hand_in_the_database_still_is_one() -> None:
    given, _ = given_and_proven(lender())
    DisbursementRequest.objects.filter(pk=given.pk).update(transaction_receipt=f"NOT-{TRUE}")

    assert any("proved receipt" in each.problem for each in breaches(of_today()))


def test_a_comparison_calls_nobody_to_what_two_people_have_just_said() -> None:
    given = taken_back(lender())

    found = list(unproven([given]))
    follow_up(found, now=timezone.now())

    assert len(found) == 1  # it is listed still: Mifos X shows it as paid
    assert loan_of(given).review_reason == ""


def test_what_people_are_called_for_later_can_be_ended() -> None:
    given = taken_back(lender())
    raise_review(
        given.loan_tracking_id,
        ReviewReason.BOOKS_DIFFER,
        message="Mifos X shows another receipt",
        now=timezone.now(),
        disbursement_request_id=given.pk,
    )

    said_by_people(given, ResolutionOutcome.NOT_PAID)

    given.refresh_from_db()
    assert loan_of(given).review_reason == ""
    assert given.transaction_receipt == f"NOT-{LATE.receipt}"


def test_it_was_paid_after_all_with_another_receipt() -> None:
    """ "Look whether this one was paid", they are asked. It was, by its own receipt."""
    given, proven = given_and_proven(lender())

    said_by_people(given, ResolutionOutcome.PAID, TRUE)
    apply_verdict(proven.pk, LATE, asked_at=timezone.now(), now=timezone.now())

    given.refresh_from_db()
    proven.refresh_from_db()
    loan = loan_of(given)
    assert (given.transaction_receipt, loan.mpesa_receipt_number) == (TRUE, TRUE)
    assert (given.status, proven.status) == (AttemptStatus.COMPLETED, AttemptStatus.PAID)
    assert loan.review_reason == ""
    assert [each.problem for each in breaches(of_today())] == []


def test_what_mpesa_proved_gets_no_other_receipt() -> None:
    proven = sent_attempt(lender())
    apply_verdict(proven.pk, LATE, now=timezone.now())
    complete(proven, recorded(proven))

    with pytest.raises(ResolutionRefused, match="paid already"):
        said_by_people(proven, ResolutionOutcome.PAID, TRUE)


def test_two_loans_of_one_lender_give_the_same_receipt_back() -> None:
    partner = lender()
    taken_back(partner)
    second = sent_attempt(partner)
    said_by_people(second, ResolutionOutcome.PAID, LATE.receipt)
    complete(second, recorded(second))
    open_one = DisbursementRequest.objects.get(status=AttemptStatus.UNKNOWN)
    apply_verdict(open_one.pk, LATE, asked_at=timezone.now(), now=timezone.now())

    said_by_people(second, ResolutionOutcome.NOT_PAID)
    apply_verdict(open_one.pk, LATE, asked_at=timezone.now(), now=timezone.now())

    open_one.refresh_from_db()
    assert open_one.status == AttemptStatus.PAID
    assert [each.problem for each in breaches(of_today())] == []
