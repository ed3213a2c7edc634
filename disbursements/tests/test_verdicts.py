"""What each result proves: nothing is proof that contracts/mpesa.md 6, 7 and 13 do not list."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from disbursements.evidence import promise_of
from disbursements.models import DisbursementRequest
from disbursements.tests.letters import failure, status_answer, success
from disbursements.verdicts import Proof, Verdict, verdict_of_payment, verdict_of_status
from mpesa.result_codes import meaning_of
from mpesa.results import read_payment_result, read_status_result

pytestmark = pytest.mark.django_db

ATTEMPT = DisbursementRequest(
    originator_conversation_id="600000-abc",
    conversation_id="AG_1",
    amount=Decimal(12_500),
    msisdn="254712345678",
)


def of_payment(body: dict[str, Any]) -> Verdict:
    result = read_payment_result(json.dumps(body))
    return verdict_of_payment(result, promise_of(ATTEMPT), meaning_of(result.code))


def of_status(body: dict[str, Any]) -> Verdict:
    return verdict_of_status(read_status_result(json.dumps(body)), promise_of(ATTEMPT))


def test_receipt_amount_phone_and_id_together_prove_a_payment():
    verdict = of_payment(success(ATTEMPT))

    assert (verdict.proof, verdict.receipt, verdict.code) == (Proof.PAID, "SGH7K2M9QD", "0")
    assert verdict.completed_at is not None


@pytest.mark.parametrize(
    ("changes", "proof"),
    [
        ({"TransactionAmount": "12500.00"}, Proof.PAID),
        ({"TransactionAmount": 12_499}, Proof.MISMATCH),
        ({"TransactionAmount": "12500.01"}, Proof.MISMATCH),
        ({"ReceiverPartyPublicName": "254712345678 - ANY NAME"}, Proof.PAID),
        ({"ReceiverPartyPublicName": "254712345679 - JANE DOE"}, Proof.MISMATCH),
        ({"ReceiverPartyPublicName": None}, Proof.UNPROVEN),
        ({"TransactionReceipt": None}, Proof.UNPROVEN),
        ({"TransactionAmount": None}, Proof.UNPROVEN),
    ],
)
def test_each_part_of_a_success_counts(changes, proof):
    assert of_payment(success(ATTEMPT, **changes)).proof == proof


@pytest.mark.parametrize("body", [success(ATTEMPT), failure(ATTEMPT, "2040")])
def test_a_result_that_names_another_payment_proves_nothing(body):
    body["Result"]["OriginatorConversationID"] = "600000-xyz"

    assert of_payment(body).proof == Proof.MISMATCH


@pytest.mark.parametrize(
    ("code", "proof"),
    [
        *((code, Proof.REPORTED_FAILED) for code in ("1", "2", "3", "4", "8", "11", "21")),
        *((code, Proof.REPORTED_FAILED) for code in ("2001", "2006", "2028", "2040", "8006")),
        ("SFC_IC0003", Proof.REPORTED_FAILED),
        *((code, Proof.OPEN) for code in ("15", "17", "18", "19", "26", "2043", "R002")),
        *((code, Proof.OPEN) for code in ("100000000", "100000001", "4711", "00", "0.0")),
    ],
)
def test_only_documented_codes_report_a_failure_and_none_proves_one(code, proof):
    verdict = of_payment(failure(ATTEMPT, code))

    assert verdict.proof == proof
    assert verdict.code == code


@pytest.mark.parametrize(
    ("status", "proof"),
    [
        ("Completed", Proof.PAID),
        *((status, Proof.DEAD) for status in ("Cancelled", "Declined", "EXPIRED ")),
        *((status, Proof.OPEN) for status in ("Initiated", "Authorized", "Pending")),
        ("Pending Authorized", Proof.OPEN),
        ("", Proof.OPEN),
        *((status, Proof.MISMATCH) for status in ("Failed", "Rejected", "Reversed", "Odd")),
    ],
)
def test_the_status_decides_and_not_the_code_of_the_question(status, proof):
    assert of_status(status_answer(ATTEMPT, status)).proof == proof


@pytest.mark.parametrize(
    "changes",
    [
        {"ReceiptNo": None},
        {"Amount": None},
        {"Amount": 1},
        {"DebitPartyName": "254700000000 - ANOTHER"},
        {"OriginatorConversationID": "600000-xyz"},
    ],
)
def test_completed_without_all_its_parts_goes_to_a_person(changes):
    assert of_status(status_answer(ATTEMPT, **changes)).proof == Proof.MISMATCH


def test_an_answer_that_names_no_payment_is_bound_by_its_return_address():
    assert of_status(status_answer(ATTEMPT, OriginatorConversationID=None)).proof == Proof.PAID


def test_not_found_is_not_found_and_nothing_more():
    verdict = of_status(status_answer(ATTEMPT, code="2033"))

    assert (verdict.proof, verdict.code) == (Proof.NOT_FOUND, "2033")


@pytest.mark.parametrize("code", ["2001", "8006", "21", "25", "SFC_IC0003", "17"])
def test_a_question_that_failed_says_nothing_of_the_payment(code):
    assert of_status(status_answer(ATTEMPT, code=code)).proof == Proof.OPEN
