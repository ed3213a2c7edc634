"""What the Daraja client sends, and what it makes of every answer (contracts/mpesa.md 1, 2, 7)."""

from __future__ import annotations

import base64
from dataclasses import replace
from decimal import Decimal

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from mpesa.client import (
    BalanceQuestion,
    FreshToken,
    MpesaClient,
    MpesaCredentials,
    MpesaError,
    MpesaNotSent,
    MpesaRefused,
    MpesaThrottled,
    MpesaUnknown,
    PaymentOrder,
    StatusQuestion,
    whole_shillings,
)
from mpesa.tests.daraja import (
    CONFIG,
    OUR_ID,
    TOKEN,
    PlainStore,
    ScriptedWire,
    answer,
    body_of,
    client_on,
    error,
    recorded,
)
from wire import NoAnswer, NotSent

ORDER = PaymentOrder(
    originator_conversation_id=OUR_ID,
    amount=Decimal("10.00"),
    msisdn="254705912645",
    remarks="remarked",
    occasion="ChristmasPay",
    result_url="https://mydomain.com/path",
    timeout_url="https://mydomain.com/path",
)
STATUS = StatusQuestion(
    originator_conversation_id=OUR_ID,
    remarks="OK",
    result_url="https://mydomain.com/s/r",
    timeout_url="https://mydomain.com/s/t",
)
BALANCE = BalanceQuestion(
    remarks="ok", result_url="https://mydomain.com/b/r", timeout_url="https://mydomain.com/b/t"
)
ACK = recorded("b2c.ack.success")
TOKEN_REJECTIONS = [
    recorded("auth.expired_token.404"),
    recorded("auth.expired_token.404_prod"),
    recorded("auth.expired_token.401"),
    recorded("auth.expired_token.400"),
    error(401, "401.001", "Invalid Access Token"),
    error(400, "400.002.01", "Invalid Access Token"),
]
FRESH = recorded("oauth.success.wire")


def test_a_payment_is_sent_with_the_keys_of_the_portal_exactly():
    wire = ScriptedWire(posts=[ACK])

    client_on(wire).pay(ORDER)

    [request] = wire.posted
    assert request["url"] == "https://daraja.test/mpesa/b2c/v3/paymentrequest"
    assert request["headers"] == {"Authorization": f"Bearer {TOKEN}"}
    sample = body_of("b2c.v3.request")
    assert request["body"] == sample | {"SecurityCredential": CONFIG.security_credential}


def test_an_empty_occasion_is_left_out():
    wire = ScriptedWire(posts=[ACK])

    client_on(wire).pay(replace(ORDER, occasion=""))

    assert "Occassion" not in wire.posted[0]["body"]


def test_an_acknowledged_payment_is_accepted():
    accepted = client_on(ScriptedWire(posts=[ACK])).pay(ORDER)

    assert accepted.conversation_id == "AG_20240706_20106e9209f64bebd05b"
    assert accepted.originator_conversation_id == OUR_ID
    assert accepted.description == "Accept the service request successfully."


def ack(**changes: object) -> object:
    return {key: value for key, value in (body_of("b2c.ack.success") | changes).items() if value}


DUPLICATE = "Duplicate OriginatorConversationID."
SPIKE = recorded("apigee.fault.spike_arrest")


@pytest.mark.parametrize(
    ("outcome", "expected", "code"),
    [
        # connect refused, DNS, TLS
        (NotSent("refused"), MpesaNotSent, ""),
        # read time-out, reset
        (NoAnswer("reset"), MpesaUnknown, ""),
        # empty, HTML, not JSON, odd 200
        (answer(200, ""), MpesaUnknown, ""),
        (answer(200, "<html>ok</html>"), MpesaUnknown, ""),
        (answer(200, '{"ResponseCode": "0", "ConversationID"'), MpesaUnknown, ""),
        (answer(200, "[]"), MpesaUnknown, ""),
        (answer(200, ack(ResponseCode=None)), MpesaUnknown, ""),
        (answer(200, ack(ConversationID=None)), MpesaUnknown, "0"),
        (answer(200, ack(ConversationID="x" * 101)), MpesaUnknown, "0"),
        (answer(200, ack(OriginatorConversationID="another")), MpesaUnknown, ""),
        (answer(200, ack(OriginatorConversationID=None)), MpesaUnknown, ""),
        (answer(200, '{"ResponseCode": "0", "ResponseCode": "1"}'), MpesaUnknown, ""),
        (answer(200, '{"ResponseCode": NaN}'), MpesaUnknown, ""),
        (answer(200, "[" * 5000), MpesaUnknown, ""),
        (answer(201, ack()), MpesaUnknown, "0"),
        (answer(302, ""), MpesaUnknown, ""),
        # the gateway's validation
        (recorded("b2c.error.bad_request"), MpesaRefused, "400.002.02"),
        (recorded("b2c.error.bad_amount"), MpesaRefused, "400.002.02"),
        (error(400, "400.002.05", "Invalid payload"), MpesaRefused, "400.002.05"),
        (error(400, "400.003.02", "Invalid payload"), MpesaRefused, "400.003.02"),
        # product, authorisation
        (error(401, "401.002.01", "Invalid API call as no apiproduct match found"),
         MpesaCredentials, "401.002.01"),
        (answer(401, {"fault": {"faultstring": "Invalid API call as no apiproduct match found",
                                "detail": {"errorcode": "keymanagement.service.NoMatch"}}}),
         MpesaCredentials, "NoMatch"),
        (recorded("b2c.error.not_authorised_403"), MpesaCredentials, "403.002.1001"),
        (error(400, "403.002.1001", "You are not authorized"), MpesaUnknown, "403.002.1001"),
        (error(500, "403.002.1001", "You are not authorized"), MpesaUnknown, "403.002.1001"),
        # wrong path, method, header
        (error(404, "404.002.01", "Resource not found"), MpesaRefused, "404.002.01"),
        (error(404, "404.001.01", "Resource not found"), MpesaRefused, "404.001.01"),
        (error(404, "404.003.01", "Resource not found"), MpesaRefused, "404.003.01"),
        (error(404, "404.001.04", "Invalid header"), MpesaRefused, "404.001.04"),
        (error(405, "405.001", "Method not allowed"), MpesaRefused, "405.001"),
        # internal errors
        (recorded("b2c.error.500_002_1001_not_duplicate"), MpesaUnknown, "500.002.1001"),
        (error(503, "00.002.1001", "under maintenance"), MpesaUnknown, "00.002.1001"),
        (error(500, "500.001.1001", "Internal error"), MpesaUnknown, "500.001.1001"),
        (recorded("b2c.error.internal"), MpesaUnknown, "500.003.1001"),
        (error(500, "400.002.02", "Bad Request"), MpesaUnknown, "400.002.02"),
        # throttled
        (recorded("b2c.error.spike_arrest"), MpesaThrottled, "500.003.02"),
        (error(500, "500.002.02", "Spike arrest"), MpesaThrottled, "500.002.02"),
        (recorded("b2c.error.quota"), MpesaThrottled, "500.003.03"),
        (error(500, "500.002.03", "Quota"), MpesaThrottled, "500.002.03"),
        (SPIKE, MpesaThrottled, "SpikeArrestViolation"),
        (answer(500, {"fault": {"faultstring": "Quota", "detail": {
            "errorcode": "policies.ratelimit.QuotaViolation"}}}), MpesaThrottled, "QuotaViolation"),
        (answer(429, "slow down"), MpesaThrottled, ""),
        (error(200, "500.003.02", "Spike arrest"), MpesaUnknown, "500.003.02"),
        # gateway or maintenance
        (answer(502, ""), MpesaUnknown, ""),
        (recorded("gateway.html_503"), MpesaUnknown, ""),
        (answer(504, "<html>"), MpesaUnknown, ""),
        # refused in the acknowledgement
        (answer(200, ack(ResponseCode="26")), MpesaUnknown, "26"),
        (answer(200, ack(ResponseCode="00")), MpesaUnknown, "00"),
        (answer(200, ack(ResponseCode=False)), MpesaUnknown, ""),
        # what the table does not know
        (error(400, "400.009.99", "New"), MpesaUnknown, "400.009.99"),
        (error(403, "403.001.01", "New"), MpesaUnknown, "403.001.01"),
        (answer(403, "<html>"), MpesaUnknown, ""),
        (answer(404, "<html>"), MpesaUnknown, ""),
        (answer(401, ""), MpesaUnknown, ""),
        (answer(408, ""), MpesaUnknown, ""),
        (error(200, "404.001.03", "Invalid Access Token"), MpesaUnknown, "404.001.03"),
        (error(500, "401.002.01", "Invalid Access Token"), MpesaUnknown, "401.002.01"),
    ],
)  # fmt: skip
def test_every_row_of_the_error_table_says_what_may_be_done_next(outcome, expected, code):
    wire = ScriptedWire(posts=[outcome])

    with pytest.raises(MpesaError) as caught:
        client_on(wire).pay(ORDER)

    assert type(caught.value) is expected
    assert caught.value.code == code
    assert len(wire.posted) == 1


@pytest.mark.parametrize("status", [200, 400, 429, 500, 503])
@pytest.mark.parametrize("text", [DUPLICATE, "DUPLICATE id", "it is a duplicate"])
def test_a_duplicate_is_unknown_and_is_named_a_duplicate(status, text):
    wire = ScriptedWire(posts=[error(status, "500.002.1001", text)])

    with pytest.raises(MpesaUnknown) as caught:
        client_on(wire).pay(ORDER)

    assert caught.value.is_duplicate


@pytest.mark.parametrize(
    ("code", "text"),
    [("500.002.1001", "System internal error."), ("500.001.1001", DUPLICATE), ("", DUPLICATE)],
)
def test_a_duplicate_needs_both_the_code_and_the_word(code, text):
    with pytest.raises(MpesaUnknown) as caught:
        client_on(ScriptedWire(posts=[error(500, code, text)])).pay(ORDER)

    assert not caught.value.is_duplicate


@pytest.mark.parametrize("rejection", TOKEN_REJECTIONS)
def test_a_rejected_token_is_replaced_and_the_same_request_sent_again(rejection):
    wire = ScriptedWire(posts=[rejection, ACK], tokens=[FRESH])
    tokens = PlainStore(kept=TOKEN)

    client_on(wire, tokens).pay(ORDER)

    first, second = wire.posted
    assert first["body"] == second["body"]
    assert second["headers"] == {"Authorization": "Bearer SGWcJPtNtYNPGm6uSYR9yPYrAI3Bm"}
    assert tokens.discarded == [TOKEN]


@pytest.mark.parametrize("rejection", TOKEN_REJECTIONS)
def test_a_second_rejection_stops_with_credentials(rejection):
    wire = ScriptedWire(posts=[rejection, rejection], tokens=[FRESH])

    with pytest.raises(MpesaCredentials):
        client_on(wire).pay(ORDER)

    assert len(wire.posted) == 2


def test_a_time_out_after_a_rejected_token_is_unknown():
    wire = ScriptedWire(posts=[TOKEN_REJECTIONS[0], NoAnswer("late")], tokens=[FRESH])

    with pytest.raises(MpesaUnknown):
        client_on(wire).pay(ORDER)


def test_no_token_after_a_rejected_one_is_no_proof_that_nothing_left():
    wire = ScriptedWire(posts=[TOKEN_REJECTIONS[0]], tokens=[NoAnswer("late")])

    with pytest.raises(MpesaThrottled):
        client_on(wire).pay(ORDER)


def test_a_missing_product_asks_for_no_other_token_but_forgets_this_one():
    wire = ScriptedWire(posts=[error(401, "401.002.01", "no apiproduct match found")])
    tokens = PlainStore(kept=TOKEN)

    with pytest.raises(MpesaCredentials):
        client_on(wire, tokens).pay(ORDER)

    assert len(wire.sent) == 1
    assert tokens.discarded == [TOKEN]


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Decimal("10.50")},
        {"amount": Decimal(0)},
        {"amount": Decimal(-10)},
        {"amount": Decimal("NaN")},
        {"amount": Decimal("Infinity")},
        {"amount": Decimal("1E+30")},
        {"msisdn": "0705912645"},
        {"msisdn": "+254705912645"},
        {"msisdn": "254805912645"},
        {"msisdn": "2547059126451"},
        {"msisdn": "254705912645\n"},
        {"msisdn": "25470591264\u0665"},
        {"remarks": "x"},
        {"remarks": "x" * 101},
        {"occasion": "x" * 101},
        {"originator_conversation_id": ""},
        {"originator_conversation_id": "x" * 37},
        {"originator_conversation_id": "loan 1"},
        {"originator_conversation_id": "loan1\n"},
        {"result_url": ""},
        {"timeout_url": ""},
    ],
)
def test_a_wrong_order_is_a_value_error_and_nothing_leaves(change):
    wire = ScriptedWire()

    with pytest.raises(ValueError, match=r"must|pays|paid|not a|longer|needed"):
        client_on(wire, PlainStore()).pay(replace(ORDER, **change))

    assert wire.sent == []


def test_a_status_question_names_the_payment_by_our_id_alone():
    wire = ScriptedWire(posts=[recorded("status.ack.success")])

    asked = client_on(wire).ask_status(STATUS)

    [request] = wire.posted
    assert asked.conversation_id == "AG_20210709_1234409f86436c583e3f"
    assert request["url"] == "https://daraja.test/mpesa/transactionstatus/v1/query"
    assert request["body"] == {
        "Initiator": "testapi",
        "SecurityCredential": CONFIG.security_credential,
        "CommandID": "TransactionStatusQuery",
        "OriginalConversationID": OUR_ID,
        "PartyA": "600992",
        "IdentifierType": "4",
        "Remarks": "OK",
        "Occasion": "OK",
        "ResultURL": "https://mydomain.com/s/r",
        "QueueTimeOutURL": "https://mydomain.com/s/t",
    }
    assert body_of("status.request.by_originator").keys() == request["body"].keys()


def test_a_balance_question_has_the_keys_of_the_portal():
    wire = ScriptedWire(posts=[recorded("balance.ack.success")])

    asked = client_on(wire).ask_balance(BALANCE)

    [request] = wire.posted
    assert asked.conversation_id == "AG_20200123_0000417fed8ed666e976"
    assert request["url"] == "https://daraja.test/mpesa/accountbalance/v1/query"
    assert request["body"].keys() == body_of("balance.request").keys()
    assert request["body"]["CommandID"] == "AccountBalance"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (recorded("status.ack.all_empty"), MpesaUnknown),
        (NotSent("refused"), MpesaNotSent),
        (NoAnswer("late"), MpesaUnknown),
        (SPIKE, MpesaThrottled),
        (recorded("b2c.error.bad_request"), MpesaRefused),
        (recorded("b2c.error.not_authorised_403"), MpesaCredentials),
    ],
)
def test_a_question_that_is_not_accepted_is_named_like_a_payment(outcome, expected):
    for ask in ("ask_status", "ask_balance"):
        client = client_on(ScriptedWire(posts=[outcome]))
        with pytest.raises(expected):
            getattr(client, ask)(STATUS if ask == "ask_status" else BALANCE)


def test_prepare_asks_for_a_token_with_the_key_and_secret():
    wire = ScriptedWire(tokens=[recorded("oauth.success.portal")])
    tokens = PlainStore()

    client_on(wire, tokens).prepare()

    assert tokens.kept == TOKEN
    assert wire.sent == [
        {
            "method": "GET",
            "url": "https://daraja.test/oauth/v1/generate",
            "params": {"grant_type": "client_credentials"},
            "auth": (CONFIG.consumer_key, CONFIG.consumer_secret),
        }
    ]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (NotSent("refused"), MpesaNotSent),
        (NoAnswer("late"), MpesaNotSent),
        (recorded("oauth.error.bad_auth_type"), MpesaCredentials),
        (recorded("oauth.error.bad_grant"), MpesaCredentials),
        (recorded("oauth.error.empty_body"), MpesaCredentials),
        (answer(401, ""), MpesaCredentials),
        (error(403, "403.001", "no"), MpesaCredentials),
        (answer(403, "<html>"), MpesaNotSent),
        (answer(200, "<html>"), MpesaNotSent),
        (answer(200, {"access_token": "", "expires_in": "3599"}), MpesaNotSent),
        (answer(200, {"access_token": "a b\r\nX: y", "expires_in": "3599"}), MpesaNotSent),
        (answer(200, {"expires_in": "3599"}), MpesaNotSent),
        (answer(500, ""), MpesaNotSent),
        (answer(503, "<html>"), MpesaNotSent),
        (answer(429, ""), MpesaThrottled),
        (recorded("b2c.error.spike_arrest"), MpesaThrottled),
    ],
)
def test_no_token_means_that_nothing_was_sent(outcome, expected):
    wire = ScriptedWire(tokens=[outcome])

    with pytest.raises(expected) as caught:
        client_on(wire, PlainStore()).pay(ORDER)

    assert type(caught.value) is expected
    assert wire.posted == []


@pytest.mark.parametrize(
    ("expires_in", "lifetime"),
    [
        ("3599", 3599),
        (3599, 3599),
        ("1800.5", 1800.5),
        (None, 3600),
        ("soon", 3600),
        ("NaN", 3600),
        (0, 60),
        (-5, 60),
        (10**9, 3600),
    ],
)
def test_the_life_of_a_token_is_read_from_text_or_number(expires_in, lifetime):
    fetched: list[FreshToken] = []

    class Store(PlainStore):
        def token(self, fetch):
            fetched.append(fetch())
            return fetched[-1].access_token

    body = {"access_token": "abc", "expires_in": expires_in}
    client_on(ScriptedWire(tokens=[answer(200, body)]), Store()).prepare()

    assert fetched == [FreshToken(access_token="abc", lifetime=lifetime)]


SECRETS = (TOKEN, CONFIG.consumer_key, CONFIG.consumer_secret, CONFIG.security_credential)


@pytest.mark.parametrize("secret", [*SECRETS, "254705912645", "0705912645", "+254-705-912-645"])
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
def test_no_error_text_shows_a_secret_or_a_phone_number(secret, status):
    wire = ScriptedWire(posts=[error(status, "400.002.02", f"Invalid ({secret}) or {secret}.")])

    with pytest.raises(MpesaError) as caught:
        client_on(wire).pay(ORDER)

    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert secret not in shown
    assert "400.002.02" in shown


def test_an_error_text_keeps_the_words_that_help():
    with pytest.raises(MpesaRefused, match="Bad Request - Invalid InitiatorName"):
        client_on(ScriptedWire(posts=[recorded("b2c.error.bad_request")])).pay(ORDER)


def test_no_repr_shows_a_secret_or_a_phone_number():
    shown = f"{CONFIG!r} {ORDER!r} {STATUS!r} {FreshToken(access_token=TOKEN, lifetime=1)!r}"

    assert not any(secret in shown for secret in (*SECRETS, ORDER.msisdn, ORDER.result_url))


def test_close_closes_the_wire():
    wire = ScriptedWire()

    client_on(wire).close()

    assert wire.is_closed


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_an_amount_is_never_rounded(amount):
    try:
        shillings = whole_shillings(amount)
    except ValueError:
        assert amount != amount.to_integral_value() or not 0 < amount < 10**9
    else:
        assert shillings == amount


ANSWER_KEYS = st.sampled_from(
    [
        "ResponseCode",
        "ConversationID",
        "OriginatorConversationID",
        "errorCode",
        "errorMessage",
        "fault",
        "faultstring",
        "detail",
    ]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(ANSWER_KEYS, inner),
)


@settings(deadline=None)
@given(st.integers(100, 599), DOCUMENTS)
def test_no_answer_whatever_it_holds_is_an_acceptance_or_any_other_error(status, body):
    wire = ScriptedWire(posts=[answer(status, body)] * 2, tokens=[FRESH])

    with pytest.raises(MpesaError):
        client_on(wire).pay(ORDER)


@responses.activate
def test_over_http_a_token_is_fetched_and_then_the_payment_posted():
    responses.get("https://127.0.0.1/oauth/v1/generate", json=body_of("oauth.success.wire"))
    responses.post("https://127.0.0.1/mpesa/b2c/v3/paymentrequest", json=body_of("b2c.ack.success"))
    config = replace(CONFIG, base_url="https://127.0.0.1", allow_private_hosts=True)

    MpesaClient(config, PlainStore()).pay(ORDER)

    token_call, payment_call = responses.calls
    basic = base64.b64encode(f"{CONFIG.consumer_key}:{CONFIG.consumer_secret}".encode()).decode()
    assert token_call.request.headers["Authorization"] == f"Basic {basic}"
    assert payment_call.request.headers["Content-Type"] == "application/json"
    body = payment_call.request.body
    assert isinstance(body, bytes)
    assert b'"Amount": "10"' in body
