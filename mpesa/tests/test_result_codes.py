"""The table of result codes: never more permissive than a code we do not know (design.md 4.14)."""

from __future__ import annotations

import pytest
from django.db import connection

from mpesa.models import MoneyMoved, NewAttempt, ResultCode
from mpesa.result_codes import meaning_of, refusal_of
from mpesa.shipped_codes import DOCUMENTED, ELSEWHERE, SHIPPED, ship_result_codes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("code", "money_moved", "new_attempt"),
    [
        ("0", "yes", "never"),
        ("1", "no", "float"),
        ("4", "no", "next_day"),
        ("8", "no", "next_day"),
        *(
            (code, "no", "person")
            for code in ["2", "3", "11", "21", "2001", "2006", "2028", "2040", "8006"]
        ),
        ("SFC_IC0003", "no", "person"),
        *(
            (code, "maybe", "never")
            for code in ["15", "17", "18", "19", "20", "22", "24", "25", "26", "29"]
        ),
        *((f"1000000{last:02}", "maybe", "never") for last in (0, 1, 2, 4, 5, 7, 9, 10, 11)),
        *(
            (code, "maybe", "never")
            for code in ["5", "6", "7", "12", "13", "14", "2007", "2020", "2029"]
        ),
        *((code, "maybe", "never") for code in ["2043", "2051", "2202", "1005", "R002", "R003"]),
        *((code, "maybe", "never") for code in ("", "1032", "1037", "99999", "00", "2033", "x")),
    ],
)
def test_a_shipped_code_means_what_the_contract_says(code, money_moved, new_attempt):
    meaning = meaning_of(code)

    assert (meaning.code, meaning.money_moved, meaning.new_attempt) == (
        code,
        money_moved,
        new_attempt,
    )


def test_only_credential_and_account_faults_stop_the_shortcode():
    stopping = {code for code, *_, stops in SHIPPED if stops}

    assert stopping == {"2001", "8006", "21", "11", "18", "20", "2028"}
    assert all(meaning_of(code).stops_shortcode for code in stopping)
    assert not meaning_of("99999").stops_shortcode


def test_only_codes_of_the_b2c_page_are_definite():
    assert {row[2] for row in ELSEWHERE} == {"maybe"}
    assert {row[3] for row in ELSEWHERE} == {"never"}
    assert "maybe" not in {row[2] for row in DOCUMENTED}


def test_every_shipped_row_is_in_the_table_and_sound():
    rows = {row.code: row for row in ResultCode.objects.all()}

    assert rows.keys() == {row[0] for row in SHIPPED}
    assert len(rows) == len(SHIPPED)
    for row in rows.values():
        assert refusal_of(row) == ""
        row.full_clean(validate_unique=False)


def test_a_row_that_was_amended_survives_the_next_upgrade():
    ResultCode.objects.filter(code="1").update(new_attempt=NewAttempt.PERSON, meaning="Ours")
    ResultCode.objects.filter(code="8").delete()

    ship_result_codes(ResultCode, connection.alias)

    assert (meaning_of("1").new_attempt, meaning_of("1").meaning) == (NewAttempt.PERSON, "Ours")
    assert meaning_of("8").new_attempt == NewAttempt.NEXT_DAY


@pytest.mark.parametrize(
    ("code", "money_moved", "new_attempt", "is_refused"),
    [
        ("0", "no", "never", True),
        ("0", "no", "person", True),
        ("0", "yes", "person", True),
        ("15", "no", "never", True),
        ("15", "maybe", "person", True),
        ("100000000", "no", "person", True),
        ("17", "maybe", "float", True),
        ("17", "maybe", "next_day", True),
        ("1", "yes", "never", True),
        ("1", "perhaps", "never", True),
        ("1", "no", "hourly", True),
        ("0", "yes", "never", False),
        ("0", "maybe", "never", False),
        ("15", "maybe", "never", False),
        ("17", "maybe", "person", False),
        ("22", "no", "person", False),
        ("1", "maybe", "never", False),
    ],
)
def test_an_amendment_that_could_pay_twice_is_refused(code, money_moved, new_attempt, is_refused):
    row = ResultCode(code=code, meaning="m", money_moved=money_moved, new_attempt=new_attempt)

    assert bool(refusal_of(row)) is is_refused


@pytest.mark.parametrize("code", ["0", "15"])
def test_a_row_that_got_past_the_form_reads_as_unknown(code):
    ResultCode.objects.filter(code=code).update(
        money_moved=MoneyMoved.NO, new_attempt=NewAttempt.FLOAT
    )

    meaning = meaning_of(code)

    assert (meaning.money_moved, meaning.new_attempt) == (MoneyMoved.MAYBE, NewAttempt.NEVER)
