"""What staff may do with one loan: who, when, with what evidence, and once."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from disbursements.models import AttemptStatus, ReviewResolution, StaffAction
from disbursements.pages import doing
from disbursements.pages.actions import KINDS, possible_actions
from disbursements.pages.cases import Case, read_cases
from disbursements.tests.making import make_attempt, make_event, make_loan, make_partner
from disbursements.tests.statements import at_most
from loans.models import ApprovalState, LoanApproval, LoanEvent, LoanStatus, LoanTracking
from mpesa.models import MpesaRequest, RequestKind

pytestmark = pytest.mark.django_db

VIEW = "loans.view_loantracking"
PROCESSING = LoanStatus.PROCESSING


def make_user(name: str, *permissions: str) -> User:
    user = User.objects.create_user(name, password="a-good-long-password", is_staff=True)
    codenames = [one.partition(".")[2] for one in (VIEW, *permissions)]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def jane(client: Client) -> Client:
    """An operator and approver."""
    client.force_login(make_user("jane.o", *{kind.permission for kind in KINDS.values()}))
    return client


@pytest.fixture
def peter() -> Client:
    """Another one."""
    client = Client()
    client.force_login(make_user("peter.n", *{kind.permission for kind in KINDS.values()}))
    return client


def case_of(loan: LoanTracking, username: str = "jane.o") -> Case:
    return read_cases([loan], username)[0]


def why_not(loan: LoanTracking, name: str, username: str = "jane.o") -> str:
    actions = possible_actions(case_of(loan, username))
    return next(one.why_not for one in actions if one.name == name)


def address(loan: LoanTracking, name: str) -> str:
    return f"/loan-tracking/{loan.pk}/{name}"


def ticket(client: Client, loan: LoanTracking, name: str) -> str:
    html = client.get(address(loan, name)).content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found, html
    return found[1]


def press(client: Client, loan: LoanTracking, name: str, **fields: str) -> str:
    """Confirm an action as a person would, and return the page that follows."""
    told = {"reason": "Client phoned", **fields}
    if "ticket" not in told:
        told["ticket"] = ticket(client, loan, name)
    answer = client.post(address(loan, name), told, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def failed_loan(**columns: object) -> LoanTracking:
    loan = make_loan(status=LoanStatus.FAILED, loan_amount=Decimal(5000), **columns)
    make_attempt(loan, status=AttemptStatus.FAILED, result_code="1", result_description="No float")
    return loan


def waiting_for_approval(by: str = "system") -> LoanTracking:
    loan = make_loan(hold_reason="needs_approval", loan_amount=Decimal(85_000))
    LoanApproval.objects.create(
        loan_tracking=loan,
        amount=loan.net_disbursal_amount,
        phone_number=loan.phone_number,
        requested_by=by,
        requested_at=timezone.now(),
    )
    return loan


def events(loan: LoanTracking) -> list[tuple[str, str]]:
    return list(loan.events.order_by("id").values_list("actor", "reason"))


def test_the_page_shows_amount_phone_evidence_and_a_button_that_says_what_it_does(jane: Client):
    loan = failed_loan(phone_number="254712345678")
    attempt = loan.attempts.get()
    make_event(loan, attempt=attempt, to_status="failed", reason="M-Pesa knows no payment")
    MpesaRequest.objects.create(
        kind=RequestKind.STATUS,
        environment="sandbox",
        shortcode="600000",
        originator_conversation_id=attempt.originator_conversation_id,
        token_digest="x",
        sent_at=timezone.now(),
        outcome="no payment exists",
    )

    html = jane.get(address(loan, "retry")).content.decode()

    assert "Pay KSh 5,000 again</button>" in html
    assert "0712 ***678" in html
    assert "254712345678" not in html
    assert "failed, code 1: No float." in html
    assert "Proof that no money moved: M-Pesa knows no payment." in html
    assert re.search(r"M-Pesa was asked at \d\d:\d\d: no payment exists\.", html)
    assert re.search(r"autofocus>Cancel</a>", html)
    assert ">SANDBOX<" in html


def test_a_failed_loan_is_paid_again_with_a_reason(jane: Client):
    loan = failed_loan()

    html = press(jane, loan, "retry", reason="Float topped up")

    loan.refresh_from_db()
    assert loan.status == LoanStatus.PENDING
    assert "pays KSh 5,000" in html
    assert ("jane.o", "New attempt asked for: Float topped up") in events(loan)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_done_without_a_reason(jane: Client, name: str):
    loan = failed_loan()

    answer = jane.post(address(loan, name), {"reason": "  ", "ticket": "x"})

    assert answer.status_code == 200
    assert StaffAction.objects.count() == 0
    assert LoanEvent.objects.count() == 0


def test_pressing_twice_does_it_once(jane: Client):
    loan = make_loan()
    once = ticket(jane, loan, "hold")
    press(jane, loan, "hold", ticket=once)

    html = press(jane, loan, "hold", ticket=once)

    assert "only once" in html
    assert loan.events.count() == 1
    [action] = StaffAction.objects.all()
    assert action.results[0]["done"] is True


@pytest.mark.parametrize("forged", ["", "x", "W10:1abc:def"])
def test_a_forged_ticket_does_nothing(jane: Client, forged: str):
    loan = make_loan()

    assert "open for too long" in press(jane, loan, "hold", ticket=forged)
    assert not loan.events.exists()


def test_a_ticket_is_for_one_person_one_action_and_one_loan(jane: Client, peter: Client):
    loan, other = make_loan(), make_loan()
    mine = ticket(jane, loan, "hold")

    for client, where, name in [
        (peter, loan, "hold"),
        (jane, other, "hold"),
        (jane, loan, "reread"),
    ]:
        assert "open for too long" in press(client, where, name, ticket=mine)

    assert LoanEvent.objects.count() == 0


def test_what_changed_since_it_was_shown_is_not_approved(jane: Client):
    loan = waiting_for_approval()
    seen = ticket(jane, loan, "approve")
    LoanTracking.objects.filter(pk=loan.pk).update(net_disbursal_amount=90_000)
    LoanApproval.objects.update(amount=90_000)

    html = press(jane, loan, "approve", ticket=seen)

    assert "has changed since you looked" in html
    assert LoanApproval.objects.get().state == ApprovalState.REQUESTED


def test_a_second_person_approves_and_the_first_is_refused(jane: Client, peter: Client):
    loan = waiting_for_approval(by="jane.o")

    assert "you asked for it; another person must approve it." in (
        jane.get(address(loan, "approve")).content.decode()
    )
    html = press(peter, loan, "approve")

    assert "Approved KSh 85,000" in html
    assert LoanApproval.objects.get().decided_by.get_username() == "peter.n"


def test_the_requester_cannot_approve_by_a_post_of_his_own(jane: Client, peter: Client):
    loan = waiting_for_approval()
    seen = ticket(jane, loan, "approve")
    LoanApproval.objects.update(requested_by="jane.o")

    assert "you asked for it" in press(jane, loan, "approve", ticket=seen)
    assert LoanApproval.objects.get().state == ApprovalState.REQUESTED


def test_a_declined_payout_stays_held(jane: Client):
    loan = waiting_for_approval()

    press(jane, loan, "decline", reason="Not the amount agreed")

    loan.refresh_from_db()
    assert "Not the amount agreed" in loan.staff_hold


def test_holding_and_releasing(jane: Client):
    loan = make_loan()

    press(jane, loan, "hold", reason="Officer asked")
    assert why_not(LoanTracking.objects.get(pk=loan.pk), "hold") == "it is already held."
    press(jane, loan, "release", reason="Officer agreed")

    loan.refresh_from_db()
    assert loan.staff_hold == ""
    assert [who for who, _ in events(loan)] == ["jane.o", "jane.o"]


def test_two_people_settle_an_unknown_outcome(jane: Client, peter: Client):
    loan = make_loan(status=PROCESSING, review_reason="outcome_unknown")
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)

    html = press(jane, loan, "resolve", outcome="paid", receipt="sgh7k2m9qd", reason="Line 12")
    assert "Nothing moves until another person confirms it." in html
    assert "you proposed the outcome" in jane.get(address(loan, "confirm")).content.decode()
    asked = peter.get(address(loan, "confirm")).content.decode()
    assert "Confirm: KSh 12,500 was paid" in asked
    assert "jane.o proposed" in asked
    press(peter, loan, "confirm", reason="Same line")

    attempt.refresh_from_db()
    assert (attempt.status, attempt.transaction_receipt) == ("paid", "SGH7K2M9QD")
    assert ReviewResolution.objects.get().confirmed_by.get_username() == "peter.n"


def test_a_payment_needs_its_receipt_to_be_settled_as_paid(jane: Client):
    loan = make_loan(status=PROCESSING, review_reason="outcome_unknown")
    make_attempt(loan, status=AttemptStatus.UNKNOWN)

    html = press(jane, loan, "resolve", outcome="paid")

    assert "A receipt of ten capital letters and digits is required" in html
    assert "Say what the M-Pesa statement shows." in press(jane, loan, "resolve", outcome="")
    assert not ReviewResolution.objects.exists()


def test_a_proposal_is_withdrawn_with_a_reason(jane: Client):
    loan = make_loan(status=PROCESSING, review_reason="outcome_unknown")
    make_attempt(loan, status=AttemptStatus.UNKNOWN)
    press(jane, loan, "resolve", outcome="not-paid", reason="Not in the statement")

    press(jane, loan, "withdraw", reason="Wrong statement")

    assert ReviewResolution.objects.get().withdrawn_at
    assert ("jane.o", "Withdrawn because: Wrong statement") in events(loan)


def test_mpesa_is_asked_at_once(jane: Client, monkeypatch: pytest.MonkeyPatch):
    loan = make_loan(status=PROCESSING)
    attempt = make_attempt(loan, status=AttemptStatus.UNKNOWN)
    asked: list[int] = []
    monkeypatch.setattr(doing, "ask_one", lambda pk, mpesa: asked.append(pk) or True)

    html = press(jane, loan, "ask")

    assert asked == [attempt.pk]
    assert "M-Pesa was asked." in html
    assert ("jane.o", "Wants M-Pesa asked now: Client phoned") in events(loan)


def test_mifos_is_told_at_once_and_a_failure_is_told(jane: Client, monkeypatch: pytest.MonkeyPatch):
    loan = make_loan(status=PROCESSING, review_reason="paid_not_recorded", error_message="Closed.")
    attempt = make_attempt(loan, status=AttemptStatus.PAID)
    told: list[int] = []
    monkeypatch.setattr(doing, "record_one", lambda pk, books: bool(told.append(pk)))

    html = press(jane, loan, "record")

    assert told == [attempt.pk]
    assert "Not recorded yet. Closed." in html


def test_a_new_cycle_waits_for_somebody_else(jane: Client, peter: Client):
    loan = make_loan(status=LoanStatus.DISBURSED, review_reason="undone_after_payment")
    make_attempt(loan, status=AttemptStatus.COMPLETED)

    press(jane, loan, "cycle", reason="Paid to the wrong client, money is back")

    fresh = LoanTracking.objects.get(cycle=2)
    assert "you asked for it" in why_not(fresh, "approve")
    assert why_not(fresh, "approve", "peter.n") == ""


@pytest.mark.parametrize("name", KINDS)
def test_who_has_not_the_right_is_refused_and_sees_no_button(client: Client, name: str):
    loan = failed_loan()
    client.force_login(make_user("viewer"))

    assert client.get(address(loan, name)).status_code == 403
    assert client.post(address(loan, name), {"reason": "x"}).status_code == 403
    html = client.get(f"/loan-tracking/{loan.pk}").content.decode()
    assert address(loan, name) not in html
    assert "You can view. Ask an administrator for payout rights." in html


@pytest.mark.parametrize("status", [one for one in AttemptStatus if one != AttemptStatus.FAILED])
def test_no_button_to_pay_again_while_an_attempt_is_live(jane: Client, status: AttemptStatus):
    loan = make_loan(status=PROCESSING)
    make_attempt(loan, status=status)

    html = jane.get(f"/loan-tracking/{loan.pk}").content.decode()
    asked = jane.get(address(loan, "retry")).content.decode()

    assert not re.search(r"<(a|button)[^>]*>Pay again", html)
    assert "again</button>" not in asked
    assert "This is not possible now" in asked


def test_an_impossible_action_is_dead_and_says_why(jane: Client):
    html = jane.get(f"/loan-tracking/{make_loan().pk}").content.decode()

    assert re.search(
        r'<button[^>]* disabled aria-describedby="why-ask">Ask M-Pesa now</button>', html
    )
    assert "nothing was sent to M-Pesa that is still open." in html


def test_the_question_costs_a_fixed_number_of_statements(jane: Client):
    loan = failed_loan()

    with at_most(10):
        jane.get(address(loan, "retry"))


def test_an_action_on_a_loan_that_is_not_there_is_not_found(jane: Client):
    make_partner()

    assert jane.get("/loan-tracking/999/hold").status_code == 404
