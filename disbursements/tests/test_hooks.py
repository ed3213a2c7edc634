"""Mifos X's door: a hook wakes us for one loan, and nothing else in it is believed."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from django.test import Client

from disbursements import hooks
from disbursements.tests.machines import make_partner

pytestmark = pytest.mark.django_db

# The shape of publishHookEvent (contracts/mifos.md 8).
APPROVED = {
    "entityName": "LOAN",
    "actionName": "APPROVE",
    "createdByName": "mifos",
    "request": {"approvedOnDate": "23 November 2026", "approvedLoanAmount": 999999},
    "officeId": 1,
    "clientId": 7,
    "response": {"clientId": 7, "loanId": 10491, "resourceId": 10491, "changes": {}},
    "timestamp": "2026-11-23T06:40:02Z",
}


@pytest.fixture(autouse=True)
def _fresh_pace():
    cache.clear()


@pytest.fixture
def woken(monkeypatch) -> list[dict[str, int]]:
    """What the door asked for."""
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(hooks, "run_hook", lambda **asked: seen.append(asked))
    return seen


def send(token, body=APPROVED, *, slash="", **headers):
    return Client(raise_request_exception=False, enforce_csrf_checks=True).post(
        f"/api/mifos/webhook/loan-approval/{token}{slash}",
        body if isinstance(body, str) else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_approval_wakes_us_for_that_loan_alone(woken, slash):
    partner = make_partner()

    answer = send(partner.webhook_token, slash=slash)

    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert woken == [{"partner_id": partner.pk, "loan_id": 10491}]


@pytest.mark.parametrize(
    ("body", "loan_id"),
    [
        ({"response": {"loanId": 5}}, 5),
        ({"response": {"resourceId": 5}}, 5),
        ({"response": {"loanId": 5, "resourceId": 6}}, 5),
        ({"response": {}, "loanId": 5}, 5),
        ({"response": None, "resourceId": 5}, 5),
        ({"entityId": 5}, 5),
        ({"loanId": "5"}, None),
        ({"loanId": 5.0}, None),
        ({"loanId": True}, None),
        ({"loanId": -5}, None),
        ({"loanId": 2**63}, None),
        ({"loanId": 5, "status": "Exception"}, None),
        ({"loanId": 5, "entityName": "CLIENT"}, None),
        ({"loanId": 5, "entityName": "loan"}, 5),
        ([], None),
        ("loanId=5", None),
        ("[" * 20_000, None),
        ("", None),
    ],
)
def test_the_loan_is_read_leniently_and_only_as_a_number(woken, body, loan_id):
    answer = send(make_partner().webhook_token, body)

    assert answer.status_code == 200
    assert [asked["loan_id"] for asked in woken] == ([loan_id] if loan_id else [])


@pytest.mark.parametrize("token", ["nobody", "x" * 128, "%00"])
def test_an_unknown_token_is_404(woken, token):
    make_partner()

    assert send(token).status_code == 404
    assert woken == []


def test_an_inactive_partner_is_answered_and_left_alone(woken):
    assert send(make_partner(is_active=False).webhook_token).status_code == 200
    assert woken == []


@pytest.mark.parametrize(("tenant", "calls"), [("umoja", 1), ("tumaini", 0)])
def test_a_hook_of_another_tenant_is_ignored(woken, tenant, calls):
    partner = make_partner(mifos_tenant_id="umoja")

    answer = send(partner.webhook_token, **{"Fineract-Platform-TenantId": tenant})

    assert answer.status_code == 200
    assert len(woken) == calls


def test_trouble_behind_the_door_is_not_mifos_business(monkeypatch, caplog):
    def fail(**_):
        raise RuntimeError("no float")

    monkeypatch.setattr(hooks, "run_hook", fail)

    assert send(make_partner().webhook_token).json() == {"received": True}
    assert "did not finish" in caplog.text


def test_a_flood_of_hooks_is_left_to_the_poll(woken, monkeypatch):
    monkeypatch.setattr(hooks, "HOOKS_PER_MINUTE", 3)
    umoja, tumaini = make_partner("umoja"), make_partner("tumaini")

    answers = [send(umoja.webhook_token).status_code for _ in range(5)]
    send(tumaini.webhook_token)

    assert answers == [200] * 5
    assert [asked["partner_id"] for asked in woken] == [umoja.pk] * 3 + [tumaini.pk]


def test_a_hook_too_large_is_refused(woken):
    assert send(make_partner().webhook_token, "x" * 70_000).status_code == 413
