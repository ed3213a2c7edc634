"""AUDIT 144: a statement whose head spells a date in another way breaks `reconcile`.

The rows are fine. The period in the head ("28-Nov-26", or the month first) is met with a traceback
and exit code 1, "a partner could not be served", and the day is not compared at all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from disbursements.statement import read_statement

ROWS = (
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"
    "Balance,Reason Type,Other Party Info\n"
    "SGH7K2M9QD,28-11-2026 09:41:16,28-11-2026 09:41:10,Business Payment,Completed,,12500.00,"
    "1.00,Business Payment to Customer,254712345678 - ACHIENG MARY\n"
)


@pytest.mark.parametrize(
    "period",
    [
        "From,28-Nov-26 00:00\nTo,28-Nov-26 23:59\n",
        "Time Period,11/28/2026 00:00 - 11/28/2026 23:59\n",
        "From,28-11-2026 12:00:00AM\nTo,28-11-2026 11:59:59PM\n",
    ],
)
def test_the_rows_are_read_and_the_period_is_theirs(tmp_path: Path, period: str) -> None:
    file = tmp_path / "statement.csv"
    file.write_text(f"Short Code,600111\n{period}{ROWS}", encoding="utf-8")

    read = read_statement(file)

    assert [row.receipt for row in read.rows] == ["SGH7K2M9QD"]
    assert not read.unreadable
