"""Every exchange with Mifos X is told of as it ended, and what is kept of it holds no secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import requests

from mifos.client import MifosClient, MifosConfig, MifosError, MifosUncertain
from mifos.exchange import LONGEST_EXCERPT, Ending, Exchange
from mifos.tests.conftest import BASE, order

CONFIG = MifosConfig(base_url=BASE, tenant="default", username="svc", password="hunter2")
LOAN = f"{BASE}/loans/3198"


@pytest.fixture
def told() -> list[Exchange]:
    return []


@pytest.fixture
def mifos(told: list[Exchange]) -> MifosClient:
    return MifosClient(CONFIG, keep=told.append)


def test_an_order_is_told_of_with_its_loan_and_its_answer(mifos, told, http):
    http.post(LOAN, json={"loanId": 3198, "changes": {"status": {"id": 300}}})

    mifos.disburse(order())

    [one] = told
    assert (one.method, one.path, one.command, one.loan_id) == (
        *("POST", "/loans/3198", "disburse", 3198),
    )
    assert (one.ending, one.status, one.is_worth_keeping) == (Ending.ANSWERED, 200, True)
    assert len(one.digest) == 64
    assert one.started_at.tzinfo is not None


def test_a_question_answered_as_it_should_be_is_not_kept(mifos, told, http):
    http.get(f"{BASE}/paymenttypes", json=[])
    http.get(f"{BASE}/loans/7", status=500, body="down")

    mifos.payment_types()
    with pytest.raises(MifosError):
        mifos.loan(7)

    assert [(one.loan_id, one.status, one.is_worth_keeping) for one in told] == [
        (None, 200, False),
        (7, 500, True),
    ]


def test_an_order_without_an_answer_is_told_of_too(mifos, told, http):
    http.post(LOAN, body=requests.ReadTimeout())

    with pytest.raises(MifosUncertain):
        mifos.disburse(order())

    assert [(one.ending, one.status, one.digest) for one in told] == [(Ending.NO_ANSWER, None, "")]


def test_one_that_did_not_leave_says_so(told):
    inward = replace(CONFIG, base_url="https://127.0.0.1/api/v1", allow_private_hosts=False)

    with pytest.raises(MifosError):
        MifosClient(inward, keep=told.append).payment_types()

    assert [one.ending for one in told] == [Ending.NOT_SENT]


def exchange(body: bytes) -> Exchange:
    return Exchange(
        method="GET",
        path="/clients/1",
        command="",
        started_at=datetime.now(UTC),
        seconds=0.1,
        ending=Ending.ANSWERED,
        status=500,
        body=body,
        secrets=("hush-mifos", ""),
    )


def test_the_excerpt_holds_no_password_no_whole_number_and_no_nul():
    kept = exchange(b"hush-mifos \0 254712345678 +254712345678 0712345678 id 12345678").excerpt

    assert kept == "***  254***678 +254***678 071***678 id 12345678"


@pytest.mark.parametrize("phone", ["0712 345 678", "+254 712-345678", "254 712 34 56 78"])
def test_a_phone_number_with_gaps_is_masked_and_a_date_is_not(phone):
    kept = exchange(f"mobile {phone} on 2026-11-23 09:41:07".encode()).excerpt

    assert "345" not in kept.replace("-", "").replace(" ", "").partition("on")[0]
    assert kept.endswith("on 2026-11-23 09:41:07")


def test_the_excerpt_is_short_and_reads_any_bytes():
    assert exchange(b"\xff" + b"x" * 5000).excerpt == "\ufffd" + "x" * (LONGEST_EXCERPT - 1)
