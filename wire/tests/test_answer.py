"""Answers are read strictly, and numbers keep their digits."""

from decimal import Decimal

import pytest

from wire import Answer
from wire.answer import DEEPEST_NESTING, encode_json


def answer(body):
    return Answer(status=200, headers={}, body=body, url="https://mifos.example/")


def nested(depth):
    return b"[" * depth + b"]" * depth


def test_numbers_with_fractions_stay_decimal_and_ids_stay_whole():
    assert answer(b'{"principal": 20000.000001, "id": 3198}').json() == {
        "principal": Decimal("20000.000001"),
        "id": 3198,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b"NaN",
        b'{"amount": Infinity}',
        b"-Infinity",
        b'{"loanId": 1, "loanId": 2}',
        b"1e999999999",
        b"1e-999999999",
        b"1e999999999999999999999",
        b"\xff\xfe",
        nested(DEEPEST_NESTING + 1),
        nested(100_000),
        b'{"a":' * 70 + b"1" + b"}" * 70,
    ],
    ids=lambda body: repr(body[:14]),
)
def test_json_that_two_readers_could_read_differently_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        answer(body).json()


def test_sixty_levels_are_read():
    assert answer(nested(DEEPEST_NESTING)).json()


def test_an_answer_shows_no_body_in_a_log():
    assert "secret" not in repr(answer(b"secret"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("20000.000000"), "20000.000000"),
        (Decimal("2E+4"), "20000"),
        (Decimal("0.1"), "0.1"),
        ({"a": [1, None, True, "é"]}, '{"a": [1, null, true, "\\u00e9"]}'),
    ],
)
def test_a_decimal_is_written_as_a_plain_number(value, text):
    assert encode_json(value) == text


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), float("nan"), {1, 2}])
def test_what_is_not_json_is_not_written(value):
    with pytest.raises((ValueError, TypeError)):
        encode_json({"amount": value})
