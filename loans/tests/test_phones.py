"""Phone numbers as people type them (contracts/mifos.md 4) and as M-Pesa takes them."""

from __future__ import annotations

import pytest

from loans.phones import mask_msisdn, normalise_msisdn


@pytest.mark.parametrize(
    "text",
    [
        "0712345678",
        "254712345678",
        "+254712345678",
        "+254 712-345678",
        " 0712 345 678 ",
        "(0712) 345.678",
        "712345678",
        "+2540712345678",
    ],
)
def test_every_way_to_write_one_kenyan_mobile_number_is_read(text):
    assert normalise_msisdn(text) == "254712345678"


def test_numbers_that_begin_with_01_are_mobile_too():
    assert normalise_msisdn("0110123456") == "254110123456"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "0712345678/0722111222",
        "0712345678 or 0722111222",
        "0712345678 0722111222",
        "020 2345678",
        "+353851239876",
        "+255712345678",
        "12312312",
        "07123456789",
        "071234567",
        "0812345678",
        "0712345678 Jane",
        "+",
        "----------",
        "٠٧١٢٣٤٥٦٧٨",
        "254",
    ],
)
def test_what_is_not_exactly_one_kenyan_mobile_number_is_none(text):
    assert normalise_msisdn(text) is None


@pytest.mark.parametrize(
    ("text", "masked"), [("254712345678", "2547****678"), ("12345678", "****"), ("", "****")]
)
def test_a_masked_number_gives_nobody_away(text, masked):
    assert mask_msisdn(text) == masked
