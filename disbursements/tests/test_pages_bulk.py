"""One action on many loans: what is done, what is left out and why, and only once."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from disbursements.models import AttemptStatus, StaffAction
from disbursements.pages import bulk, doing
from disbursements.pages.actions import BULK
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.test_pages_actions import make_user, waiting_for_approval
from loans.holding import hold_loan
from loans.models import LoanApproval, LoanEvent, LoanStatus, LoanTracking
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def jane(client: Client) -> Client:
    client.force_login(make_user("jane.o", *{kind.permission for kind in BULK.values()}))
    return client


@pytest.fixture
def umoja() -> Partner:
    return make_partner(slug="umoja", name="Umoja Sacco")


def where(name: str, loans: list[LoanTracking]) -> str:
    return f"/loan-tracking/bulk/{name}?" + "&".join(f"loan={loan.pk}" for loan in loans)


def press(client: Client, address: str, **fields: str) -> str:
    html = client.get(address).content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found, html
    told = {"reason": "Audit", "ticket": found[1], **fields}
    answer = client.post(address, told, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_offers_what_the_user_may_do_with_many(jane: Client, umoja: Partner):
    loan = make_loan(umoja)

    html = jane.get("/loan-tracking?status=pending").content.decode()

    assert f'name="loan" value="{loan.pk}"' in html
    assert 'formaction="/loan-tracking/bulk/hold"' in html
    assert '<input type="hidden" name="status" value="pending">' in html


def test_who_may_only_view_has_nothing_to_select(client: Client, umoja: Partner):
    make_loan(umoja)
    client.force_login(make_user("viewer"))

    html = client.get("/loan-tracking").content.decode()

    assert 'type="checkbox" form="bulk"' not in html
    assert "/bulk/" not in html


@pytest.mark.parametrize("name", BULK)
def test_who_has_not_the_right_is_refused(client: Client, umoja: Partner, name: str):
    client.force_login(make_user("viewer"))
    address = where(name, [make_loan(umoja)])

    assert client.get(address).status_code == 403
    assert client.post(address, {"reason": "x"}).status_code == 403


def test_what_is_left_out_is_named_with_its_reason(jane: Client, umoja: Partner):
    failed = [
        make_loan(umoja, status=LoanStatus.FAILED, loan_amount=Decimal(5000)) for _ in range(3)
    ]
    unknown = make_loan(umoja, status=LoanStatus.PROCESSING)
    make_attempt(unknown, status=AttemptStatus.UNKNOWN)

    html = jane.get(where("retry", [*failed, unknown])).content.decode()

    assert "Pay again 3 of 4 loans" in html
    assert "Pay again 3 loans, KSh 15,000</button>" in html
    assert "a payment may still be under way. Paying again could pay twice." in html


def test_each_loan_says_what_came_of_it(jane: Client, umoja: Partner):
    loans = [make_loan(umoja) for _ in range(3)]
    address = where("hold", loans)
    html = jane.get(address).content.decode()
    LoanTracking.objects.filter(pk=loans[1].pk).update(status=LoanStatus.PROCESSING)
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found

    answer = jane.post(address, {"reason": "Audit", "ticket": found[1]}, follow=True)
    told = answer.content.decode()

    assert "Hold: 2 of 3 done" in told
    assert "only a pending loan can be held." in told
    assert [row["done"] for row in answer.context["rows"]] == [False, True, True]
    assert LoanEvent.objects.filter(actor="jane.o", reason="Held by jane.o: Audit").count() == 2


def test_pressing_twice_leads_to_the_same_result(jane: Client, umoja: Partner):
    address = where("hold", [make_loan(umoja), make_loan(umoja)])
    html = jane.get(address).content.decode()
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found
    told = {"reason": "Audit", "ticket": found[1]}

    first = jane.post(address, told)
    second = jane.post(address, told)

    assert first["Location"] == second["Location"]
    assert LoanEvent.objects.count() == 2
    assert StaffAction.objects.count() == 1


def test_all_that_match_is_a_second_step_and_has_an_end(
    jane: Client, umoja: Partner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulk, "MOST_AT_ONCE", 3)
    loans = [make_loan(umoja) for _ in range(5)]
    make_loan(umoja, status=LoanStatus.FAILED)

    first = jane.get(where("hold", loans[:1]) + "&status=pending").content.decode()
    assert "?status=pending&amp;all=1" in first
    answer = jane.get("/loan-tracking/bulk/hold?status=pending&all=1")

    assert len(answer.context["rows"]) == 3
    assert "More match" in answer.content.decode()


def test_a_loan_that_came_in_meanwhile_is_not_taken_along(jane: Client, umoja: Partner):
    make_loan(umoja)
    address = "/loan-tracking/bulk/hold?all=1"
    html = jane.get(address).content.decode()
    late = make_loan(umoja)
    found = re.search(r'name="ticket" value="([^"]+)"', html)
    assert found

    jane.post(address, {"reason": "Audit", "ticket": found[1]})

    late.refresh_from_db()
    assert late.staff_hold == ""


def test_more_than_ten_are_paid_again_only_with_a_second_person(jane: Client, umoja: Partner):
    loans = [make_loan(umoja, status=LoanStatus.FAILED) for _ in range(11)]

    html = press(jane, where("retry", loans))

    assert "Pay again: 11 of 11 done" in html
    assert LoanApproval.objects.filter(state="requested", requested_by="jane.o").count() == 11
    assert set(LoanTracking.objects.values_list("approval_cause", flat=True)) == {"needs_approval"}


def test_ten_are_paid_again_alone(jane: Client, umoja: Partner):
    loans = [make_loan(umoja, status=LoanStatus.FAILED) for _ in range(10)]

    press(jane, where("retry", loans))

    assert not LoanApproval.objects.exists()
    assert set(LoanTracking.objects.values_list("status", flat=True)) == {LoanStatus.PENDING}


def test_an_approver_approves_what_others_asked_for(jane: Client):
    mine, theirs = waiting_for_approval(by="jane.o"), waiting_for_approval()

    html = press(jane, where("approve", [mine, theirs]))

    assert "Approve: 1 of 1 done" in html
    assert LoanApproval.objects.get(loan_tracking=mine).state == "requested"
    assert LoanApproval.objects.get(loan_tracking=theirs).state == "approved"


def test_one_failure_stops_no_other(jane: Client, umoja: Partner, monkeypatch: pytest.MonkeyPatch):
    loans = [make_loan(umoja) for _ in range(2)]

    def hold_the_second(pk: int, **rest: Any) -> None:
        if pk == loans[0].pk:
            raise RuntimeError
        hold_loan(pk, **rest)

    monkeypatch.setattr(doing, "hold_loan", hold_the_second)

    html = press(jane, where("hold", loans))

    assert "Hold: 1 of 2 done" in html
    assert "It failed inside Loan Poll" in html


def test_when_the_time_is_over_the_rest_is_left_as_it_is(
    jane: Client, umoja: Partner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulk, "SECONDS", -1.0)

    html = press(jane, where("hold", [make_loan(umoja)]))

    assert "The time was over before its turn. Nothing was done." in html
    assert not LoanEvent.objects.exists()


def test_nothing_selected_is_said(jane: Client):
    assert "No loan is selected." in jane.get("/loan-tracking/bulk/hold").content.decode()


def test_another_persons_result_is_not_found(jane: Client, umoja: Partner):
    press(jane, where("hold", [make_loan(umoja)]))
    action = StaffAction.objects.get()
    other = Client()
    other.force_login(User.objects.create_superuser("root"))

    assert jane.get(f"/loan-tracking/bulk/done/{action.pk}").status_code == 200
    assert other.get(f"/loan-tracking/bulk/done/{action.pk}").status_code == 404
