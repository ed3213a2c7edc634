"""Callbacks as Safaricom sends them, and as nobody should (contracts/mpesa.md 5, 7 and 8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpesa.results import (
    UnreadableCallback,
    is_success,
    read_balance_result,
    read_payment_result,
    read_status_result,
    same_phone,
)
from mpesa.tests.daraja import EXAMPLES, body_of

READERS: list[Callable[[str], Any]] = [read_payment_result, read_status_result, read_balance_result]
SUCCESS = "b2c.result.success"
COMPLETED = "status.result.completed"


def text_of(name: str) -> str:
    return json.dumps(body_of(name))


def parameters_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = body["Result"]["ResultParameters"]["ResultParameter"]
    return listed


def with_parameter(name: str, key: str, value: object) -> str:
    """The recorded body with the value of `key` replaced; the key is taken out for None."""
    body = body_of(name)
    listed = [item for item in parameters_of(body) if item["Key"] != key]
    if value is not None:
        listed.append({"Key": key, "Value": value})
    body["Result"]["ResultParameters"]["ResultParameter"] = listed
    return json.dumps(body)


def and_parameter(name: str, key: str, value: object) -> str:
    """The recorded body with `key` given once more."""
    body = body_of(name)
    parameters_of(body).append({"Key": key, "Value": value})
    return json.dumps(body)


def with_result(name: str, **members: object) -> str:
    body = body_of(name)
    body["Result"].update(members)
    return json.dumps(body)


def test_the_portal_success_is_read_whole():
    result = read_payment_result(text_of(SUCCESS))

    assert is_success(result.code)
    assert result.description == "The service request is processed successfully."
    assert result.originator_conversation_id == "53e3-4aa8-9fe0-8fb5e4092cdd3533373"
    assert result.conversation_id == "AG_20240706_2010364430d9bbdaf872"
    assert result.transaction_id == "SG632NMUAB"
    assert result.receipt == "SG632NMUAB"
    assert result.amount == Decimal(10)
    assert result.receiver == "254705912645 - JANE DOE"
    assert result.completed_at == datetime(2024, 7, 6, 19, 48, 52, tzinfo=UTC)
    assert result.utility_balance == Decimal("8959269.6")


def test_a_local_phone_number_is_still_our_receiver():
    result = read_payment_result(text_of("b2c.result.success.prod_v3_local_msisdn"))

    assert same_phone("254110000000", result.receiver)


def test_the_order_of_the_parameters_does_not_matter():
    result = read_payment_result(text_of("b2c.result.success.order_differs"))

    assert (result.receipt, result.amount) == ("REH3SOIU9T", Decimal(10))


@pytest.mark.parametrize(
    ("name", "code", "transaction_id"),
    [
        ("b2c.result.failed.2001", "2001", "SG722NMVXQ"),
        ("b2c.result.failed.2001.zero_txid", "2001", "SIK0000000"),
        ("b2c.result.failed.1.insufficient", "1", "PJ71VRERKR"),
        ("b2c.result.failed.SFC_IC0003", "SFC_IC0003", "SG70000000"),
        ("b2c.result.failed.2040", "2040", "SG70000000"),
        ("b2c.result.failed.8", "8", "SG70000000"),
        ("b2c.result.failed.8006", "8006", "SG70000000"),
        ("b2c.result.15.duplicate_detected", "15", "SG70000000"),
    ],
)
def test_a_failure_has_no_receipt_however_real_its_transaction_id_looks(name, code, transaction_id):
    result = read_payment_result(text_of(name))

    assert (result.code, result.transaction_id) == (code, transaction_id)
    assert (result.receipt, result.amount, result.completed_at) == ("", None, None)


def test_a_receipt_beside_a_failure_code_does_not_count():
    assert read_payment_result(with_result(SUCCESS, ResultCode=1)).receipt == ""


def test_a_thin_time_out_body_can_be_read():
    result = read_payment_result(text_of("b2c.queue_timeout"))

    assert result.conversation_id == "AG_20240706_20106e9209f64bebd05b"


@pytest.mark.parametrize("missing", ["TransactionReceipt", "TransactionAmount"])
def test_a_missing_key_is_empty_and_not_an_error(missing):
    result = read_payment_result(with_parameter(SUCCESS, missing, None))

    assert (result.receipt == "") == (missing == "TransactionReceipt")
    assert (result.amount is None) == (missing == "TransactionAmount")


def test_a_key_without_a_value_is_as_good_as_missing():
    body = body_of(SUCCESS)
    body["Result"]["ResultParameters"]["ResultParameter"] = [{"Key": "TransactionReceipt"}]

    assert read_payment_result(json.dumps(body)).receipt == ""


def test_one_parameter_may_come_without_the_array():
    body = body_of(SUCCESS)
    only = {"Key": "TransactionReceipt", "Value": "SG632NMUAB"}
    body["Result"]["ResultParameters"]["ResultParameter"] = only

    assert read_payment_result(json.dumps(body)).receipt == "SG632NMUAB"


@pytest.mark.parametrize("parameters", [None, [], {}, "x", 5, {"ResultParameter": None}])
def test_parameters_of_any_other_shape_are_no_parameters(parameters):
    result = read_payment_result(with_result(SUCCESS, ResultParameters=parameters))

    assert (result.receipt, result.amount) == ("", None)


@pytest.mark.parametrize("key", ["Transaction Receipt", " TransactionReceipt "])
def test_spaces_in_a_key_are_ignored(key):
    body = with_parameter(SUCCESS, "TransactionReceipt", None)
    document = json.loads(body)
    parameters_of(document).append({"Key": key, "Value": "SG632NMUAB"})

    assert read_payment_result(json.dumps(document)).receipt == "SG632NMUAB"


@pytest.mark.parametrize(
    ("written", "read"), [(10, "10"), ("10", "10"), (10.5, "10.5"), ("10.50", "10.50")]
)
def test_an_amount_is_exact_as_text_or_number(written, read):
    result = read_payment_result(with_parameter(SUCCESS, "TransactionAmount", written))

    assert str(result.amount) == read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TransactionReceipt", "SG000OTHER"),
        ("TransactionAmount", 11),
        ("ReceiverPartyPublicName", "254700000000 - JOHN DOE"),
    ],
)
def test_a_used_key_that_contradicts_itself_is_unreadable(key, value):
    with pytest.raises(UnreadableCallback):
        read_payment_result(and_parameter(SUCCESS, key, value))


def test_a_used_key_given_twice_alike_is_fine():
    result = read_payment_result(and_parameter(SUCCESS, "TransactionReceipt", "SG632NMUAB"))

    assert result.receipt == "SG632NMUAB"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TransactionReceipt", "SG632 NMUAB"),
        ("TransactionReceipt", "<script>"),
        ("TransactionReceipt", "S" * 21),
        ("TransactionReceipt", "ЅG632NMUAB"),
        ("TransactionAmount", "ten"),
        ("TransactionAmount", "1,000"),
        ("TransactionAmount", "1e3"),
        ("TransactionAmount", "٣"),
        ("TransactionAmount", 10**40),
    ],
)
def test_a_used_value_that_is_not_what_it_should_be_is_unreadable(key, value):
    with pytest.raises(UnreadableCallback):
        read_payment_result(with_parameter(SUCCESS, key, value))


@pytest.mark.parametrize(
    "when", ["31.02.2024 10:00:00", "yesterday", "2024-07-06", "00.00.0000 00:00:00", "9" * 14]
)
def test_a_time_that_is_none_is_left_out(when):
    result = read_payment_result(with_parameter(SUCCESS, "TransactionCompletedDateTime", when))

    assert result.completed_at is None


def test_a_payment_after_midnight_in_nairobi_is_the_evening_before_in_utc():
    late = with_parameter(SUCCESS, "TransactionCompletedDateTime", "01.01.2025 00:00:05")

    assert read_payment_result(late).completed_at == datetime(2024, 12, 31, 21, 0, 5, tzinfo=UTC)


def test_a_completed_status_names_the_payment_not_the_query():
    result = read_status_result(text_of(COMPLETED))

    assert is_success(result.code)
    assert result.conversation_id == "AG_20180223_0000493344ae97d86f75"
    assert result.originator_conversation_id == "3211-416020-3"
    assert result.transaction_status == "Completed"
    assert result.receipt == "MBN31H462N"
    assert result.amount == Decimal(300)
    assert result.completed_at == datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC)


def test_both_parties_of_a_status_are_kept_though_they_share_a_key():
    result = read_status_result(text_of(COMPLETED))

    assert result.parties == ("600310 - Safaricom333", "254708374149 - John Doe")
    assert any(same_phone("254708374149", party) for party in result.parties)


def test_the_old_status_sample_with_spaces_and_numbers_is_read_alike():
    result = read_status_result(text_of("status.result.completed.old_keys"))

    assert result.originator_conversation_id == "19455-773836-1"
    assert (result.receipt, result.amount) == ("LGR919G2AV", Decimal(10))
    assert result.completed_at == datetime(2017, 7, 27, 7, 14, 15, tzinfo=UTC)
    assert "254708374149 - John Doe" in result.parties


@pytest.mark.parametrize(
    ("name", "code"),
    [("status.result.not_found.2033", "2033"), ("status.result.initiator_invalid.2001", "2001")],
)
def test_a_query_that_failed_says_nothing_of_the_payment(name, code):
    result = read_status_result(text_of(name))

    assert result.code == code
    assert (result.transaction_status, result.receipt, result.parties) == ("", "", ())
    assert result.originator_conversation_id == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TransactionStatus", "Declined"),
        ("ReceiptNo", "MBN000THER"),
        ("Amount", "301"),
        ("OriginatorConversationID", "another"),
    ],
)
def test_a_status_that_contradicts_itself_is_unreadable(key, value):
    with pytest.raises(UnreadableCallback):
        read_status_result(and_parameter(COMPLETED, key, value))


def test_the_utility_balance_is_found_by_name():
    result = read_balance_result(text_of("balance.result.success"))

    assert is_success(result.code)
    assert result.utility_balance == Decimal("228037.00")


@pytest.mark.parametrize(
    ("accounts", "utility"),
    [
        ("Utility Account|KES|5.00|3.50|1.50|0.00&Working Account|KES|9|9|0|0", "3.50"),
        ("Working Account|KES|9|9|0|0", None),
        ("Utility Account|USD|5.00|5.00|0|0", None),
        ("Utility Account|KES|5.00", None),
        ("Utility Account|KES|5.00|five|0|0", None),
        ("Utility Account|KES|5|5|0|0&Utility Account|KES|6|6|0|0", None),
        ("Utility Account|KES|-1|-1.00|0|0", "-1.00"),
        ("", None),
        (228037, None),
    ],
)
def test_a_balance_is_the_available_utility_funds_or_unknown(accounts, utility):
    body = with_parameter("balance.result.success", "AccountBalance", accounts)

    expected = None if utility is None else Decimal(utility)
    assert read_balance_result(body).utility_balance == expected


@pytest.mark.parametrize("code", ["0", 0])
def test_zero_is_success_as_text_and_as_number(code):
    assert is_success(code)
    assert is_success(read_payment_result(with_result(SUCCESS, ResultCode=code)).code)


@pytest.mark.parametrize("code", ["00", 0.0, Decimal("0.0"), False, None, "", "0.0", "1", 1, [0]])
def test_nothing_else_is_success(code):
    assert not is_success(code)
    with suppress(UnreadableCallback, TypeError):
        assert not is_success(read_payment_result(with_result(SUCCESS, ResultCode=code)).code)


@pytest.mark.parametrize("code", [None, "", False, [], {}, "x" * 21, "<b>", "a b"])
@pytest.mark.parametrize("read", READERS)
def test_a_body_without_a_readable_code_is_unreadable(read, code):
    with pytest.raises(UnreadableCallback):
        read(with_result(SUCCESS, ResultCode=code))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"Result": []}',
        '{"Result": {}}',
        "<html>",
        '{"Result": {"ResultCode": 0, "x": NaN}}',
        '{"Result": {"ResultCode": 0, "x": -Infinity}}',
        '{"Result": {"ResultCode": 1, "ResultCode": 0}}',
        '{"Result": {"ResultCode": 0}, "Result": {"ResultCode": 1}}',
        "[" * 60_000,
        '{"Result": {"ResultCode": 0, "x": ' + "[" * 30 + "]" * 30 + "}}",
        '{"Result": {"ResultCode": 0, "x": 1e99999999999999999999}}',
        '{"Result": {"ResultCode": 0, "x": ' + "9" * 5000 + "}}",
        '{"Result": {"ResultCode": 0, "ConversationID": "a b"}}',
        '{"Result": {"ResultCode": 0}}' + " " * 65536,
        '{"Result": {"ResultCode": 0, "x": "' + "é" * 40_000 + '"}}',
        '{"Result": {"ResultCode": 0',
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_what_two_readers_could_read_differently_is_unreadable(read, body):
    with pytest.raises(UnreadableCallback):
        read(body)


def test_text_that_no_database_keeps_is_made_harmless():
    result = read_payment_result(with_result(SUCCESS, ResultDesc="a\x00b\ud800c\n" + "d" * 999))

    assert result.description.startswith("a\ufffdb\ufffdc\ufffdd")
    assert len(result.description) == 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("254705912645 - JANE DOE", True),
        ("0705912645 - Jane Doe", True),
        ("705912645", True),
        ("+254705912645", True),
        (" 254705912645", True),
        ("254705912646 - JANE DOE", False),
        ("2547059126451 - JANE DOE", False),
        ("256705912645 - JANE DOE", False),
        ("2547****645 - JANE DOE", False),
        ("JANE DOE 254705912645", False),
        ("600310 - 254705912645", False),
        ("", False),
    ],
)
def test_a_phone_number_is_ours_by_its_last_nine_digits(text, expected):
    assert same_phone("254705912645", text) is expected


KEYS = st.sampled_from(
    [
        "Result",
        "ResultCode",
        "ResultDesc",
        "ConversationID",
        "OriginatorConversationID",
        "TransactionID",
        "ResultParameters",
        "ResultParameter",
        "Key",
        "Value",
    ]
)
WORDS = st.sampled_from(
    [
        "TransactionReceipt",
        "TransactionAmount",
        "TransactionCompletedDateTime",
        "AccountBalance",
        "FinalisedTime",
        "Amount",
        "ReceiptNo",
        "01.01.0001 00:00:00",
        "99991231235959",
        "0",
        "10",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
)
PARAMETERS = st.lists(st.fixed_dictionaries({"Key": WORDS}, optional={"Value": VALUES}))
BODIES = st.fixed_dictionaries(
    {"ResultCode": st.sampled_from([0, "0"]) | VALUES},
    optional={
        "ConversationID": VALUES,
        "ResultDesc": VALUES,
        "ResultParameters": st.fixed_dictionaries({"ResultParameter": PARAMETERS}) | VALUES,
    },
).map(lambda result: json.dumps({"Result": result}))


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_no_text_raises_anything_but_unreadable(body):
    for read in READERS:
        with suppress(UnreadableCallback):
            read(body)


@settings(deadline=None)
@given(VALUES.map(json.dumps) | BODIES)
def test_no_json_raises_anything_but_unreadable(body):
    for read in READERS:
        with suppress(UnreadableCallback):
            read(body)


@settings(deadline=None)
@given(BODIES)
def test_whatever_is_read_can_be_kept_by_any_database(body):
    with suppress(UnreadableCallback):
        result = read_payment_result(body)
        texts = [result.code, result.description, result.receipt, result.receiver]
        assert all(text.encode() and "\0" not in text for text in texts if text)
        assert len(result.code) <= 20
        assert len(result.receipt) <= 20


@settings(deadline=None)
@given(st.permutations(parameters_of(EXAMPLES[SUCCESS]["body"])))
def test_any_order_of_the_parameters_reads_the_same(shuffled):
    body = body_of(SUCCESS)
    body["Result"]["ResultParameters"]["ResultParameter"] = shuffled

    assert read_payment_result(json.dumps(body)) == read_payment_result(text_of(SUCCESS))
