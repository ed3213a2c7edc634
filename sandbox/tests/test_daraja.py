"""Tokens, payments, queries and balances, as contracts/mpesa.md says."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from sandbox.tests.conftest import SHAPES, assert_shaped, parameters


def test_a_token_comes_with_a_text_for_its_life(daraja):
    body = daraja.log_in().json()
    assert_shaped(body, SHAPES["oauth.success.wire"])
    assert body["expires_in"] == "3599"


def test_a_new_token_kills_the_one_before_and_four_spellings_say_so(daraja):
    old = daraja.token
    daraja.log_in()
    daraja.token = old
    answers = [daraja.pay(f"x{number}") for number in range(4)]
    assert [(a.status_code, a.json()["errorCode"]) for a in answers] == [
        (404, "404.001.03"),
        (401, "401.002.01"),
        (400, "400.003.01"),
        (401, "401.001"),
    ]
    assert all("Invalid Access Token" in a.json()["errorMessage"] for a in answers)


def test_a_token_ends(box, daraja):
    box.options(token_life=0)
    daraja.log_in()
    assert daraja.pay("x").status_code in (400, 401, 404)


def test_a_wrong_app_gets_an_empty_body_and_a_wrong_grant_an_error(daraja):
    wrong = daraja.log_in(secret="no")
    assert (wrong.status_code, wrong.text) == (400, "")
    assert daraja.log_in(grant="password").json()["errorCode"] == "400.008.02"


def test_a_payment_is_acknowledged_then_paid_then_told(box, daraja, inbox):
    answer = daraja.pay("600992-1", "1000")
    assert_shaped(answer.json(), SHAPES["b2c.ack.success"])
    result = inbox.wait("/result")[0]["Result"]
    found = parameters(result)
    debit = box.debits()[0]
    assert found["TransactionReceipt"] == debit["receipt"]
    assert len(debit["receipt"]) == 10
    assert result["ConversationID"] == answer.json()["ConversationID"]
    assert (debit["amount"], debit["msisdn"], debit["fee"]) == ("1000.00", "254712345678", "5.00")
    books = box.ledger()["shortcodes"]["600992"]
    assert Decimal(books["utility"]) == 999_000
    assert Decimal(str(found["B2CUtilityAccountAvailableFunds"])) == 999_000
    assert Decimal(books["charges"]) == -5


def test_result_shapes_are_the_contracts_when_the_quirks_rest(box, daraja, inbox):
    box.options(quirks=False)
    daraja.pay("a", "1000")
    daraja.pay("b", "300000")
    letters = {row["Result"]["OriginatorConversationID"]: row for row in inbox.wait("/result", 2)}
    ok, refused = letters["a"], letters["b"]
    assert_shaped(ok, SHAPES["b2c.result.success"])
    assert_shaped(refused, SHAPES["b2c.result.failed.1.insufficient"])
    assert refused["Result"]["TransactionID"]
    box.options(quirks=True)


def test_result_quirks_all_appear(daraja, inbox):
    for number in range(60):
        daraja.pay(f"q{number}", "10" if number % 2 else "5")
    results = [body["Result"] for body in inbox.wait("/result", 60)]
    assert {type(r["ResultCode"]) for r in results} == {int, str}
    assert {type(r["ReferenceData"]["ReferenceItem"]) for r in results} == {dict, list}
    paid = [r for r in results if "ResultParameters" in r]
    names = {parameters(r)["ReceiverPartyPublicName"][:4] for r in paid}
    assert names == {"2547", "0712"}
    assert (
        len({tuple(row["Key"] for row in r["ResultParameters"]["ResultParameter"]) for r in paid})
        > 5
    )
    failed = [r["TransactionID"] for r in results if "ResultParameters" not in r]
    assert {one.endswith("0000000") for one in failed} == {True, False}


def test_the_same_id_is_refused_for_ever_and_pays_once(box, daraja, inbox):
    daraja.pay("one")
    inbox.wait("/result")
    again = daraja.pay("one")
    assert again.status_code == 500
    assert_shaped(again.json(), SHAPES["b2c.error.duplicate_originator"])
    assert again.json()["errorMessage"] == "Duplicate OriginatorConversationID."
    assert len(box.debits()) == 1
    assert [row["status"] for row in box.ledger()["requests"]] == [200, 500]


def test_v1_ignores_our_id_mints_its_own_and_pays_twice(box, daraja, inbox):
    first = daraja.pay("mine", version="v1").json()
    second = daraja.pay("mine", version="v1").json()
    assert "mine" not in (first["OriginatorConversationID"], second["OriginatorConversationID"])
    inbox.wait("/result", 2)
    assert len(box.debits()) == 2
    assert {row["version"] for row in box.ledger()["requests"]} == {"v1"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"OriginatorConversationID": ""}, "OriginatorConversationID"),
        ({"InitiatorName": ""}, "InitiatorName"),
        ({"CommandID": "Pay"}, "CommandID"),
        ({"Amount": "10.50"}, "Amount"),
        ({"Amount": "ten"}, "Amount"),
        ({"PartyA": "111111"}, "PartyA"),
        ({"PartyB": "0712345678"}, "PartyB"),
        ({"Remarks": "x"}, "Remarks"),
        ({"ResultURL": "nowhere"}, "ResultURL"),
        ({"QueueTimeOutURL": ""}, "QueueTimeOutURL"),
    ],
)
def test_a_wrong_field_is_named(daraja, changes, name):
    answer = daraja.pay("x", **changes)
    assert answer.status_code == 400
    assert answer.json()["errorMessage"] == f"Bad Request - Invalid {name}"
    assert answer.json()["errorCode"] == "400.002.02"


@pytest.mark.parametrize(
    ("amount", "wallet", "shortcode", "code"),
    [
        ("5", {}, {}, "2"),
        ("250001", {}, {}, "3"),
        ("1000", {"registered": False}, {}, "2040"),
        ("1000", {"exists": False}, {}, "SFC_IC0003"),
        ("1000", {"received": 499500}, {}, "4"),
        ("1000", {"balance": 499500}, {}, "8"),
        ("1000", {}, {"utility": 999}, "1"),
        ("1000", {}, {"has_role": False}, "21"),
        ("1000", {}, {"has_product": False}, "2028"),
    ],
)
def test_the_money_rules_refuse_with_their_codes(
    box, daraja, inbox, amount, wallet, shortcode, code
):
    box.set_wallet("254712345678", **wallet)
    box.change_shortcode("600992", **shortcode)
    daraja.pay("x", amount)
    result = inbox.wait("/result")[0]["Result"]
    assert str(result["ResultCode"]) == code
    assert "ResultParameters" not in result
    assert box.debits() == []


def test_a_wrong_credential_is_2001_and_then_locked(box, daraja, inbox):
    daraja.credential = box.security_credential("wrong")
    for number in range(4):
        daraja.pay(f"x{number}")
        inbox.wait("/result", number + 1)
    codes = [str(body["Result"]["ResultCode"]) for body in inbox.bodies("/result")]
    assert codes == ["2001", "2001", "2001", "8006"]


def test_a_credential_made_with_the_certificate_is_good(box, daraja, inbox):
    key = load_pem_x509_certificate(box.certificate().encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    daraja.credential = base64.b64encode(key.encrypt(b"pass#1", PKCS1v15())).decode()
    daraja.pay("x")
    assert str(inbox.wait("/result")[0]["Result"]["ResultCode"]) == "0"


def test_a_shortcode_that_may_not_is_told_so_at_the_gateway(box, daraja):
    box.change_shortcode("600992", b2c_enabled=False)
    assert daraja.pay("x").json()["errorCode"] == "403.002.1001"
    box.change_shortcode("600992", api_product=False)
    assert "apiproduct" in daraja.pay("x").json()["errorMessage"]


# status queries


def test_a_status_query_tells_of_the_payment_with_ids_of_its_own(box, daraja, inbox):
    box.options(quirks=False)
    daraja.pay("mine")
    inbox.wait("/result")
    ack = daraja.ask(OriginalConversationID="mine").json()
    body = inbox.wait("/status")[0]
    box.options(quirks=True)
    assert_shaped(body, SHAPES["status.result.completed"])
    result, found = body["Result"], parameters(body["Result"])
    assert result["ConversationID"] == ack["ConversationID"]
    assert result["OriginatorConversationID"] != "mine"
    assert found["OriginatorConversationID"] == "mine"
    assert found["ReceiptNo"] == box.debits()[0]["receipt"]
    rows = result["ResultParameters"]["ResultParameter"]
    assert [row["Key"] for row in rows].count("DebitPartyName") == 2
    assert {"Key": "TransactionReason"} in rows


def test_old_keys_with_spaces_appear(daraja, inbox):
    daraja.pay("mine")
    inbox.wait("/result")
    for _ in range(20):
        daraja.ask(OriginalConversationID="mine")
    keys = {
        row["Key"]
        for body in inbox.wait("/status", 20)
        for row in body["Result"]["ResultParameters"]["ResultParameter"]
    }
    assert {"Conversation ID", "ConversationID", "CreditPartyName"} <= keys


def test_only_the_original_id_is_matched(daraja, inbox):
    conversation = daraja.pay("mine").json()["ConversationID"]
    inbox.wait("/result")
    assert daraja.status_of(conversation) == ("2033", None)
    assert daraja.status_of("mine") == ("0", "Completed")


def test_an_empty_transaction_id_gets_an_all_empty_answer(daraja):
    answer = daraja.ask(OriginalConversationID="x", TransactionID="")
    assert (answer.status_code, answer.json()) == (200, SHAPES["status.ack.all_empty"])


def test_a_payment_is_not_found_before_it_is_indexed_and_after_it_has_aged(box, daraja, inbox):
    box.options(index_delay=60)
    daraja.pay("mine")
    inbox.wait("/result")
    assert daraja.status_of("mine")[0] == "2033"
    box.options(index_delay=0)
    assert daraja.status_of("mine")[0] == "0"
    box.options(index_age=0)
    assert daraja.status_of("mine")[0] == "2033"


def test_a_payment_on_its_way_is_in_progress(box, daraja, inbox):
    box.options(callback_delay=5, query_delay=0.01)
    daraja.pay("mine")
    assert daraja.status_of("mine") == ("0", "Initiated")
    box.change_payment("mine", status="Pending Authorized")
    assert daraja.status_of("mine") == ("0", "Pending Authorized")


def test_a_refused_payment_is_declined_or_was_never_a_transaction(box, daraja, inbox):
    box.change_shortcode("600992", utility=5)
    daraja.pay("poor")
    box.set_wallet("254700000009", exists=False)
    daraja.pay("nobody", phone="254700000009")
    inbox.wait("/result", 2)
    assert daraja.status_of("poor") == ("0", "Declined")
    assert daraja.status_of("nobody") == ("2033", None)


def test_a_reversal_by_a_person_shows_in_the_books(box, daraja, inbox):
    daraja.pay("mine")
    inbox.wait("/result")
    box.reverse(box.debits()[0]["receipt"])
    assert box.debits()[0]["reversed"]
    assert Decimal(box.ledger()["shortcodes"]["600992"]["utility"]) == 1_000_000
    assert daraja.status_of("mine") == ("0", "Reversed")


def test_a_balance_names_its_accounts_and_its_codes_are_texts(daraja, inbox):
    answer = daraja.post(
        "accountbalance/v1/query",
        {
            "Initiator": "testapi",
            "SecurityCredential": daraja.credential,
            "CommandID": "AccountBalance",
            "PartyA": "600992",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": f"{inbox.url}/x",
            "ResultURL": f"{inbox.url}/balance",
        },
    )
    assert answer.json()["ResponseCode"] == "0"
    body = inbox.wait("/balance")[0]
    assert body["Result"]["ResultCode"] == "0"
    rows = parameters(body["Result"])["AccountBalance"].split("&")
    assert "Utility Account|KES|1000000.00|1000000.00|0.00|0.00" in rows
    example = parameters(SHAPES["balance.result.success"]["Result"])["AccountBalance"]
    assert [row.split("|")[0] for row in rows] == [row.split("|")[0] for row in example.split("&")]


def test_test_amounts_do_nothing_unless_switched_on(box, daraja, inbox):
    daraja.pay("off", "1044")
    assert str(inbox.wait("/result")[0]["Result"]["ResultCode"]) == "0"
    box.options(scenarios=True)
    daraja.pay("on", "1044")
    assert str(inbox.wait("/result", 2)[1]["Result"]["ResultCode"]) == "4"
    daraja.pay("silent", "1026")
    daraja.pay("twice", "1099")
    inbox.wait("/result", 4)
    assert [row["ocid"] for row in box.debits()] == ["off", "silent", "twice"]


def test_a_wrong_path_and_a_wrong_method_are_told(box):
    assert (
        requests.post(f"{box.mpesa_url}/mpesa/b2c/v2/paymentrequest", timeout=5).status_code == 404
    )
    assert (
        requests.get(f"{box.mpesa_url}/mpesa/b2c/v3/paymentrequest", timeout=5).status_code == 405
    )
