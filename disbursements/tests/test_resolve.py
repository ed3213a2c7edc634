"""Two different people settle what no machine can, with evidence; one alone settles nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from disbursements import resolve
from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
)
from disbursements.resolve import ResolutionRefused, confirm, propose, withdraw
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanEvent, LoanStatus, LoanTracking

pytestmark = pytest.mark.django_db

NOW = timezone.now()
PAID, NOT_PAID = ResolutionOutcome.PAID, ResolutionOutcome.NOT_PAID
RECEIPT = "SGH7K2M9QD"


def person(name: str) -> User:
    return User.objects.get_or_create(username=name)[0]


def attempt_in(status: str = AttemptStatus.UNKNOWN) -> DisbursementRequest:
    loan = make_loan(status=LoanStatus.PROCESSING, review_reason="outcome_unknown")
    return make_attempt(loan, status=status)


def say(
    attempt: DisbursementRequest, outcome: ResolutionOutcome, **changes: Any
) -> ReviewResolution:
    facts = {"receipt": "", "reason": "the statement of Monday", "by": person("otieno"), "now": NOW}
    return propose(attempt.pk, outcome=outcome, **{**facts, **changes})


def settled(
    attempt: DisbursementRequest, outcome: ResolutionOutcome, **changes: Any
) -> LoanTracking:
    confirm(say(attempt, outcome, **changes).pk, by=person("achieng"), now=NOW)
    attempt.refresh_from_db()
    return LoanTracking.objects.get(pk=attempt.loan_tracking_id)


@pytest.mark.parametrize("status", [AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED])
def test_two_people_prove_that_a_payment_was_made(status):
    attempt = attempt_in(status)

    loan = settled(attempt, PAID, receipt=RECEIPT)

    assert (attempt.status, attempt.transaction_receipt) == (AttemptStatus.PAID, RECEIPT)
    assert loan.review_reason == ""
    event = LoanEvent.objects.get(to_status="paid")
    assert event.actor == "otieno and achieng"


@pytest.mark.parametrize("status", [AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED])
def test_two_people_prove_that_no_payment_was_made(status):
    attempt = attempt_in(status)

    loan = settled(attempt, NOT_PAID)

    assert (attempt.status, loan.status) == (AttemptStatus.FAILED, LoanStatus.FAILED)
    assert (
        LoanEvent.objects.get(to_status="failed", disbursement_request_id=attempt.pk).details[
            "proof"
        ]
        == "two people"
    )


def test_a_proposal_alone_moves_nothing_and_its_author_cannot_confirm_it():
    attempt = attempt_in()
    proposal = say(attempt, NOT_PAID)

    with pytest.raises(ResolutionRefused, match="another person"):
        confirm(proposal.pk, by=person("otieno"), now=NOW)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": " "}, "reason is required"),
        ({"receipt": ""}, "ten capital letters"),
        ({"receipt": "sgh7k2m9qd"}, "ten capital letters"),
        ({"receipt": "SGH7K2M9QD1"}, "ten capital letters"),
    ],
)
def test_paid_needs_a_reason_and_a_receipt(changes, why):
    with pytest.raises(ResolutionRefused, match=why):
        say(attempt_in(), PAID, **{"receipt": RECEIPT, **changes})


def test_a_receipt_belongs_to_one_loan():
    other = attempt_in(AttemptStatus.PAID)
    DisbursementRequest.objects.update(transaction_receipt=RECEIPT)
    LoanTracking.objects.update(mpesa_receipt_number=RECEIPT)
    mine = make_attempt(make_loan(other.partner), status=AttemptStatus.UNKNOWN)

    with pytest.raises(ResolutionRefused, match="belongs to another loan"):
        say(mine, PAID, receipt=RECEIPT)


def test_a_payment_that_is_being_sent_is_not_settled():
    with pytest.raises(ResolutionRefused, match="being sent"):
        say(attempt_in(AttemptStatus.SUBMITTING), NOT_PAID)


@pytest.mark.parametrize("status", [AttemptStatus.PAID, AttemptStatus.COMPLETED])
def test_what_m_pesa_proved_is_not_unsaid(status):
    with pytest.raises(ResolutionRefused, match="proved it paid"):
        say(attempt_in(status), NOT_PAID)
    with pytest.raises(ResolutionRefused, match="paid already"):
        say(attempt_in(status), PAID, receipt=RECEIPT)


def test_what_is_proven_failed_is_not_called_paid():
    with pytest.raises(ResolutionRefused, match="stays so"):
        say(attempt_in(AttemptStatus.FAILED), PAID, receipt=RECEIPT)


def test_people_may_close_the_review_of_what_is_proven():
    paid, dead = attempt_in(AttemptStatus.PAID), attempt_in(AttemptStatus.FAILED)

    DisbursementRequest.objects.filter(pk=paid.pk).update(transaction_receipt=RECEIPT)
    assert settled(paid, PAID, receipt=RECEIPT).review_reason == ""
    assert settled(dead, NOT_PAID).review_reason == ""
    assert (paid.status, dead.status) == (AttemptStatus.PAID, AttemptStatus.FAILED)


def test_closing_what_is_in_nobodys_review_writes_only_who_closed_it():
    dead = attempt_in(AttemptStatus.FAILED)
    LoanTracking.objects.update(review_reason="")

    settled(dead, NOT_PAID)

    assert LoanEvent.objects.count() == 2  # the proposal, and who confirmed it


def test_one_proposal_at_a_time_until_it_is_withdrawn():
    attempt = attempt_in()
    first = say(attempt, NOT_PAID)
    with pytest.raises(ResolutionRefused, match="open already"):
        say(attempt, NOT_PAID)

    withdraw(first.pk, by=person("achieng"), now=NOW)

    with pytest.raises(ResolutionRefused, match="confirmed or withdrawn before"):
        confirm(first.pk, by=person("achieng"), now=NOW)
    with pytest.raises(ResolutionRefused, match="confirmed or withdrawn before"):
        withdraw(first.pk, by=person("achieng"), now=NOW)
    assert settled(attempt, NOT_PAID).status == LoanStatus.FAILED


def test_a_result_that_came_before_the_confirmation_wins():
    attempt = attempt_in()
    proposal = say(attempt, NOT_PAID)
    DisbursementRequest.objects.update(status=AttemptStatus.PAID, transaction_receipt=RECEIPT)

    with pytest.raises(ResolutionRefused, match="proved it paid"):
        confirm(proposal.pk, by=person("achieng"), now=NOW)


def test_of_two_loans_settled_with_one_receipt_at_once_the_second_is_refused(monkeypatch):
    first = attempt_in()
    settled(first, PAID, receipt=RECEIPT)
    loan = make_loan(first.partner, status=LoanStatus.PROCESSING)
    other = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    # As if both had looked before either had written.
    monkeypatch.setattr(resolve, "resolution_refusal", lambda *_: "")
    proposal = say(other, PAID, receipt=RECEIPT)

    with pytest.raises(ResolutionRefused, match=f"Receipt {RECEIPT} belongs to another loan"):
        confirm(proposal.pk, by=person("achieng"), now=NOW)

    other.refresh_from_db()
    proposal.refresh_from_db()
    assert (other.status, proposal.confirmed_at) == (AttemptStatus.UNKNOWN, None)


@pytest.mark.parametrize("act", [confirm, withdraw])
def test_the_loan_is_locked_before_its_proposal_is_written(act):
    proposal = say(attempt_in(), NOT_PAID)

    with CaptureQueriesContext(connection) as captured:
        act(proposal.pk, by=person("achieng"), now=NOW)

    said = [query["sql"] for query in captured.captured_queries]
    locked = next(at for at, sql in enumerate(said) if 'FROM "loan_tracking"' in sql)
    written = next(at for at, sql in enumerate(said) if sql.startswith('UPDATE "review_res'))
    assert locked < written


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--outcome", "not-paid", "--receipt", "SGH7K2M9QD"), "A receipt proves a payment"),
        (("--outcome", "not-paid", "--second-actor", "jane"), "must be another person"),
    ],
)
def test_the_command_refuses_what_contradicts_itself(given, said):
    people = ("--actor", "jane", "--second-actor", "peter", "--reason", "statement")

    with pytest.raises(CommandError, match=said) as refusal:
        call_command("resolve_review", "1", *people, *given)

    assert refusal.value.returncode == 1


def test_a_receipt_beside_not_paid_is_refused_at_every_door():
    with pytest.raises(ResolutionRefused, match="A receipt proves a payment"):
        say(attempt_in(), NOT_PAID, receipt=RECEIPT)
