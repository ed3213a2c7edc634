"""What people may do with a loan, and what nobody may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from disbursements.models import AttemptStatus
from loans.approvals import approve_loan
from loans.holding import open_new_cycle
from loans.models import HoldReason, LoanStatus, LoanTracking
from partners.models import LoanProductAutoDisbursalConfig
from tests.journeys.conftest import Stage, run

pytestmark = pytest.mark.django_db(transaction=True)


def person(name: str, *permissions: str) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def approve(stage: Stage, by: str) -> None:
    loan = stage.loan()
    approve_loan(
        loan.pk,
        by=User.objects.get(username=by),
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        reason="checked",
        now=timezone.now(),
    )


@pytest.fixture
def asked(stage: Stage) -> Stage:
    """A loan whose product asks for a person's approval."""
    LoanProductAutoDisbursalConfig.objects.update(auto_approve=False)
    person("achieng", "approve_loantracking")
    stage.sync()
    assert stage.loan().hold_reason == HoldReason.NEEDS_APPROVAL
    return stage


def test_an_approval_by_a_person_lets_the_loan_be_paid(asked: Stage) -> None:
    approve(asked, "achieng")

    asked.sync_until(asked.is_done)

    asked.books()


@pytest.mark.parametrize("change", ["amount", "phone"])
def test_an_approval_is_worth_nothing_for_another_amount_or_phone(
    asked: Stage, change: str
) -> None:
    approve(asked, "achieng")
    if change == "amount":
        asked.sandbox.change_loan(asked.tenant, asked.first, charges="333")
    else:
        client = asked.sample.payable[0].client_id or 0
        asked.sandbox.change_client(asked.tenant, client, mobile_no="0799999999")

    asked.sync(3)

    assert asked.books().requests == []
    expected = HoldReason.NEEDS_APPROVAL if change == "amount" else HoldReason.PHONE_CHANGED
    assert asked.loan().hold_reason == expected
    approve(asked, "achieng")
    asked.sync_until(asked.is_done)
    asked.books()


def test_a_phone_that_changed_after_approval_waits_for_a_person(stage: Stage) -> None:
    run("fetch_pending_loans")
    client = stage.sample.payable[0].client_id or 0
    stage.sandbox.change_client(stage.tenant, client, mobile_no="0799999999")

    stage.sync(2)

    assert stage.books().requests == []
    assert stage.loan().hold_reason == HoldReason.PHONE_CHANGED
    person("achieng", "approve_loantracking")
    approve(stage, "achieng")
    stage.sync_until(stage.is_done)
    assert stage.books().debits[0]["msisdn"] == "254799999999"


def test_a_phone_that_was_taken_away_and_came_back_as_another_waits_too(stage: Stage) -> None:
    run("fetch_pending_loans")
    client = stage.sample.payable[0].client_id or 0
    for number in (None, "0799999999"):
        stage.sandbox.change_client(stage.tenant, client, mobile_no=number)
        stage.sync(2)

    assert stage.books().requests == []
    assert stage.loan().hold_reason == HoldReason.PHONE_CHANGED


def retry(stage: Stage) -> tuple[str, int]:
    return run("retry_disbursement", str(stage.loan().pk), "--actor", "otieno", "--reason", "again")


def test_a_failed_loan_is_paid_by_a_new_attempt_when_a_person_asks(stage: Stage) -> None:
    person("otieno", "retry_disbursementrequest")
    msisdn = stage.sample.payable[0].msisdn or ""
    stage.sandbox.set_wallet(msisdn, registered=False)
    stage.sync_until(lambda: stage.loan().status == LoanStatus.FAILED)
    stage.sandbox.set_wallet(msisdn, registered=True)

    text, code = retry(stage)
    assert (code, "waits again" in text) == (0, True)
    stage.sync_until(stage.is_done)

    books = stage.books()
    assert [each["attempt_no"] for each in books.attempts] == [1, 2]
    assert len(books.debits) == 1


def test_a_retry_is_refused_in_every_status_but_failed(stage: Stage) -> None:
    person("otieno", "retry_disbursementrequest")
    stage.sync_until(stage.is_done)
    for status in LoanStatus.values:
        LoanTracking.objects.update(status=status)
        text, code = retry(stage)
        assert code == 1, text
        assert "cannot be retried" in text or "not proven dead" in text

    LoanTracking.objects.update(status=LoanStatus.DISBURSED)
    assert len(stage.books().attempts) == 1


def resolve(stage: Stage, outcome: str, *more: str, second: str = "achieng") -> tuple[str, int]:
    arguments = ["--actor", "otieno", "--second-actor", second, "--reason", "the statement"]
    return run("resolve_review", str(stage.loan().pk), "--outcome", outcome, *arguments, *more)


@pytest.fixture
def silent(stage: Stage) -> Stage:
    """A payment of which M-Pesa says nothing; two people who may settle it."""
    for name in ("otieno", "achieng"):
        person(name, "resolve_disbursementrequest")
    stage.ask_nothing_yet()
    stage.sandbox.add_fault("b2c", "reset_before")
    stage.sync()
    assert stage.attempt().status == AttemptStatus.UNKNOWN
    return stage


def test_two_people_settle_a_silence_as_not_paid_and_one_alone_does_not(silent: Stage) -> None:
    text, code = resolve(silent, "not-paid", second="otieno")
    assert code == 1
    assert "another person" in text
    assert silent.attempt().status == AttemptStatus.UNKNOWN

    assert resolve(silent, "not-paid")[1] == 0

    silent.books()
    assert silent.loan().status == LoanStatus.FAILED


def test_two_people_settle_a_silence_as_paid_with_its_receipt(stage: Stage) -> None:
    for name in ("otieno", "achieng"):
        person(name, "resolve_disbursementrequest")
    stage.ask_nothing_yet()
    stage.sandbox.add_fault("callback", "lost")
    stage.sync()
    receipt = stage.sandbox.debits()[0]["receipt"]

    assert resolve(stage, "paid")[1] == 1
    assert resolve(stage, "paid", "--receipt", receipt)[1] == 0
    stage.sync_until(stage.is_done)

    stage.books()


def test_a_new_cycle_is_paid_only_after_somebody_else_approved_it(stage: Stage) -> None:
    stage.sync_until(stage.is_done)
    stage.sandbox.command(stage.tenant, stage.first, "undodisbursal")
    stage.sync()
    for name in ("otieno", "achieng"):
        person(name, "approve_loantracking")
    open_new_cycle(stage.loan().pk, actor="otieno", reason="repaid", now=timezone.now())
    stage.sync(2)
    assert len(stage.books().debits) == 1

    approve(stage, "achieng")
    stage.sync_until(lambda: LoanTracking.objects.filter(status="disbursed").count() == 2)

    books = stage.books()
    assert len(books.debits) == 2
    assert {each["cycle"] for each in books.attempts} == {1, 2}
