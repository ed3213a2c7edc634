"""An M-PESA statement is read as the portal and the spreadsheets of the world leave it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from disbursements.statement import (
    RowKind,
    WrongStatement,
    amount_of,
    moment_of,
    names_phone,
    read_statement,
)

HEAD = "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Reason Type,"
HEAD += "Other Party Info,Linked Transaction ID"
PAYMENT = "SGG1ABCDEF,22-11-2026 09:03:11,Loan,Completed,,-12500.00,Business Payment to Customer "
PAYMENT += "via API,254722123646 - JANE,"


def read(tmp_path, text, *, encoding="utf-8"):
    path = tmp_path / "statement.csv"
    path.write_bytes(text.encode(encoding))
    return read_statement(path)


def test_a_payment_is_read_with_its_receipt_amount_and_kenyan_time(tmp_path):
    [row] = read(tmp_path, f"{HEAD}\n{PAYMENT}\n").rows

    assert (row.receipt, row.kind, row.amount) == ("SGG1ABCDEF", RowKind.PAYOUT, Decimal(12500))
    assert row.at == datetime(2026, 11, 22, 6, 3, 11, tzinfo=UTC)
    assert row.moved_money


def test_the_head_names_shortcode_and_period(tmp_path):
    head = (
        "Organization Statement\nShort Code:,600111,Name:,Umoja\n"
        "From:,22-11-2026\nTo:,22-11-2026\nReport generated:,01-01-2020 00:00:00\n\n"
    )

    statement = read(tmp_path, f"{head}{HEAD}\n{PAYMENT}\n")

    assert statement.shortcode == "600111"
    assert statement.from_at == datetime(2026, 11, 21, 21, tzinfo=UTC)
    assert statement.to_at == datetime(2026, 11, 22, 20, 59, 59, 999999, tzinfo=UTC)
    assert len(statement.rows) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_byte_order_marks_and_old_encodings_are_read(tmp_path, encoding):
    text = f"{HEAD}\n{PAYMENT.replace('JANE', 'ZOË')}\n"

    [row] = read(tmp_path, text, encoding=encoding).rows

    assert row.party == "254722123646 - ZOË"


def test_columns_may_stand_in_any_order_with_any_delimiter(tmp_path):
    text = (
        "withdrawn;Other Party Info;RECEIPT NO;Reason Type;Completion Time\n"
        '"1,250.00";0722***646 - JANE;SGG1ABCDEF;Business Payment;2026-11-22 09:03\n'
    )

    [row] = read(tmp_path, text).rows

    assert (row.amount, row.kind) == (Decimal(1250), RowKind.PAYOUT)


def test_charges_reversals_and_top_ups_are_told_apart(tmp_path):
    rows = [
        "SGG1ABCDEF,22-11-2026 09:03:11,Charge,Completed,,-9.00,Business Payment Charge,,",
        "SGG2ABCDEF,22-11-2026 10:00:00,Reversal,Completed,100.00,,Payment Reversal via API,"
        "254722123646 - JANE,SGG1ABCDEF",
        "SGG3ABCDEF,22-11-2026 11:00:00,Reversal of SGG1ABCDEF,Completed,100.00,,Reversal,,",
        "SGG4ABCDEF,22-11-2026 12:00:00,Top up,Completed,5000,,Funds Transfer,600111 - UMOJA,",
        "SGG5ABCDEF,22-11-2026 12:00:00,To bank,Completed,,-5000,Transfer,1234567 - BANK,",
    ]

    found = read(tmp_path, "\n".join([HEAD, *rows])).rows

    assert [row.kind for row in found] == ["charge", "reversal", "reversal", "other", "other"]
    assert [row.linked for row in found[1:3]] == ["SGG1ABCDEF", "SGG1ABCDEF"]


@pytest.mark.parametrize("name", ["JANE CHARGE", "REVERSE JANE", "DISCHARGED OTIENO"])
def test_nobody_is_a_charge_by_his_name(tmp_path, name):
    row = PAYMENT.replace("JANE", name).replace(",Loan,", f",Payment to 254722123646 - {name},")

    [read_row] = read(tmp_path, f"{HEAD}\n{row}\n").rows

    assert read_row.kind == RowKind.PAYOUT


def test_the_same_row_exported_twice_counts_once(tmp_path):
    assert len(read(tmp_path, f"{HEAD}\n{PAYMENT}\n{PAYMENT}\n").rows) == 1


def test_a_declined_row_moved_no_money(tmp_path):
    [row] = read(tmp_path, f"{HEAD}\n{PAYMENT.replace('Completed', 'Declined')}\n").rows

    assert not row.moved_money


def test_a_line_that_cannot_be_read_is_told_with_its_number(tmp_path):
    broken = PAYMENT.replace("-12500.00", '"12,5"')
    undated = PAYMENT.replace("22-11-2026", "32-13-2026")

    statement = read(tmp_path, f"{HEAD}\n{PAYMENT}\n{broken}\n{undated}\n,,,,,,,,\nTotal,,,,,,,,\n")

    assert [(row.line, row.why) for row in statement.unreadable] == [
        (3, "an amount cannot be read"),
        (4, "the time cannot be read"),
    ]
    assert len(statement.rows) == 1


@pytest.mark.parametrize(
    "text", ["PK\x03\x04 a workbook", "Date,Amount\n1,2\n", "", '"Receipt No.'], ids=range(4)
)
def test_what_is_no_statement_is_refused_in_words(tmp_path, text):
    with pytest.raises(WrongStatement, match="CSV"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(WrongStatement, match="cannot be read"):
        read_statement(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12,500.00", "12500"),
        ("-12,500.00", "-12500"),
        ("(1,250.50)", "-1250.50"),
        ("KES 1,250", "1250"),
        ("", "0"),
        ("-", "0"),
    ],
)
def test_amounts_are_read_as_people_write_them(text, amount):
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["12,5", "1.234,50", "ten", "1e5", "12 500,00"])
def test_an_amount_with_two_readings_is_not_guessed(text):
    with pytest.raises(ValueError, match="amount"):
        amount_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "22-11-2026 09:03:00",
        "22/11/2026 09:03",
        "22.11.2026 09:03:00",
        "2026-11-22 09:03:00",
        "2026-11-22T09:03:00.000",
        "22-Nov-2026 09:03:00 AM",
        "22-11-26 9:03",
    ],
)
def test_times_are_read_day_first_and_as_kenyan(text):
    assert moment_of(text) == datetime(2026, 11, 22, 6, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "agrees"),
    [
        ("254722123646 - JANE", True),
        ("0722123646 JANE", True),
        ("2547****646 - JANE", True),
        ("0722***646", True),
        ("254722123647 - JANE", False),
        ("0733***646", False),
        ("2547****999 - JANE", False),
        ("JANE WANJIKU", None),
        ("600111 - UMOJA", None),
        ("1234567 - A TILL", None),
    ],
)
def test_a_phone_is_recognised_masked_or_not(text, agrees):
    assert names_phone(text, "254722123646") is agrees
