"""AUDIT 147: a payout row with a status that we do not know is left out of the comparison, unsaid.

Another portal, another language, a new word ("Completed Successfully"): the row counts as one that
moved no money. A payment nobody knows of, or the paid row of an open attempt, is in no list, and
the day is called equal ("no row is lost in silence", disbursements/statement.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from disbursements.statement import Statement, read_statement

HEAD = (
    "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Reason Type,"
    "Other Party Info\n"
)


def read(tmp_path: Path, status: str) -> Statement:
    file = tmp_path / "statement.csv"
    row = (
        f"SGH7K2M9QD,28-11-2026 09:41:16,Business Payment,{status},,12500.00,"
        "Business Payment to Customer,254712345678 - ACHIENG MARY\n"
    )
    file.write_text(HEAD + row, encoding="utf-8")
    return read_statement(file)


@pytest.mark.parametrize("status", ["Imekamilika", "Posted", "Completed Successfully"])
def test_a_status_that_is_not_known_is_named(tmp_path: Path, status: str) -> None:
    found = read(tmp_path, status)

    assert not [row for row in found.rows if not row.moved_money]
    assert [one.line for one in found.unreadable] == [2]


@pytest.mark.parametrize(
    "status", ["Declined", "Cancelled", "Expired", "Failed", "Pending", "Authorized", "Initiated"]
)
def test_a_row_that_moved_nothing_is_no_news(tmp_path: Path, status: str) -> None:
    found = read(tmp_path, status)

    assert [row.moved_money for row in found.rows] == [False]
    assert not found.unreadable
