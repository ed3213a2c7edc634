"""Fineract's JSON is read in all its shapes, and what is odd is refused and not guessed."""

import json
from datetime import date
from decimal import Decimal

import pytest

from mifos.answers import CommandState, Holiday
from mifos.reading import (
    Unreadable,
    active_holidays,
    amount_of,
    amount_or_none,
    client_from,
    command_state_of,
    date_or_none,
    flag_of,
    id_or_none,
    loan_detail_from,
    loan_from,
    rows_of,
    status_id_of,
    text_of,
    weekdays_of,
)
from mifos.tests import conftest
from wire import Answer


def example(name):
    """Return a payload of the contract as it comes off the wire: numbers exact, none a float."""
    body = json.dumps(conftest.example(name)).encode()
    return Answer(status=200, headers={}, body=body, url="").json()


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ([2025, 10, 23], date(2025, 10, 23)),
        ([2025, 10, 23, 8, 30, 0], date(2025, 10, 23)),
        ("2025-10-23", date(2025, 10, 23)),
        ("2025-10-23T08:30:00Z", date(2025, 10, 23)),
        ({}, None),
        (None, None),
    ],
)
def test_a_date_is_read_in_every_shape(written, day):
    assert date_or_none({"date": written}, "date") == day


@pytest.mark.parametrize(
    "written",
    [
        [2025, 13, 1],
        [2025, 2, 30],
        [2025],
        [],
        "23 October 2025",
        "20251023",
        5,
        {"a": 1},
        "",
        True,
    ],
)
def test_an_odd_date_is_refused(written):
    with pytest.raises(Unreadable, match="date"):
        date_or_none({"date": written}, "date")


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (20000, "20000"),
        (Decimal("20000.000001"), "20000.000001"),
        ("20000.50", "20000.50"),
        (Decimal("2E+4"), "20000"),
        (" 7 ", "7"),
        (0, "0"),
    ],
)
def test_an_amount_keeps_its_digits(written, amount):
    assert amount_or_none({"principal": written}, "principal") == Decimal(amount)


@pytest.mark.parametrize("written", [None, {}])
def test_a_missing_amount_is_none_and_not_zero(written):
    assert amount_or_none({"net": written}, "net") is None


@pytest.mark.parametrize(
    "written",
    [
        -1,
        "1_000",
        "20,000",
        "1.000,5",
        "NaN",
        "Infinity",
        True,
        1.5,
        [],
        "",
        "1e99",
        10**12,
        10**40,
    ],
)
def test_an_odd_amount_is_refused(written):
    with pytest.raises(Unreadable):
        amount_or_none({"principal": written}, "principal")


@pytest.mark.parametrize("written", [None, 0, "0.00"])
def test_a_principal_is_above_zero(written):
    with pytest.raises(Unreadable):
        amount_of({"principal": written}, "principal")


@pytest.mark.parametrize(
    ("written", "number"), [(5, 5), ("5", 5), (Decimal("5.0"), 5), (0, None), (None, None)]
)
def test_an_id_of_zero_means_none(written, number):
    assert id_or_none({"closureLoanId": written}, "closureLoanId") == number


@pytest.mark.parametrize("written", [-5, Decimal("5.5"), True, "five", 2**63])
def test_an_odd_id_is_refused(written):
    with pytest.raises(Unreadable):
        id_or_none({"id": written}, "id")


@pytest.mark.parametrize(
    ("written", "flag"),
    [
        (True, True),
        ("true", True),
        (1, True),
        ("maybe", True),
        (False, False),
        ("False", False),
        (0, False),
        (None, False),
        ({}, False),
    ],
)
def test_a_warning_flag_is_down_only_if_it_says_so(written, flag):
    assert flag_of({"isTopup": written}, "isTopup") is flag


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("  0712\x00 345 678\n", "0712 345 678"),
        ("\ud800Jane", "Jane"),
        (None, ""),
        ({}, ""),
        (712345678, "712345678"),
        ("x" * 60, "x" * 50),
    ],
)
def test_text_is_what_a_database_takes(written, text):
    assert text_of({"mobileNo": written}, "mobileNo", most=50) == text


@pytest.mark.parametrize("row", [{}, {"status": None}, {"status": {"id": Decimal("2.5")}}])
def test_a_loan_without_a_status_is_refused(row):
    with pytest.raises(Unreadable, match="status"):
        status_id_of(row)


def test_a_row_of_the_list_is_read():
    loan = loan_from(example("loan_list_page_approved")["pageItems"][0])

    assert loan.waiting_for_disbursal
    assert loan.is_individual
    assert (loan.loan_id, loan.client_id, loan.office_id, loan.product_id) == (3198, 2, 2, 5)
    assert (loan.principal, loan.net_disbursal_amount) == (Decimal(20000), Decimal(19400))
    assert (loan.currency, loan.account_number, loan.external_id) == (
        "KES",
        "000003198",
        "APP-2025-3198",
    )
    assert (loan.submitted_on, loan.approved_on, loan.expected_disbursement_date) == (
        date(2025, 10, 21),
        date(2025, 10, 22),
        date(2025, 10, 23),
    )
    assert loan.actual_disbursement_date is None
    flags = (loan.is_top_up, loan.is_multi_disburse, loan.has_down_payment)
    assert not any((*flags, loan.is_charged_off, loan.is_fraud))


def test_the_loans_that_a_person_must_pay_are_told_apart():
    plain, group, jlg, top_up, tranche = (
        loan_from(row) for row in example("loan_list_page_approved")["pageItems"]
    )

    assert [loan.is_individual for loan in (plain, group, jlg)] == [True, False, False]
    assert (group.client_id, group.client_name, group.office_id) == (None, "", 2)
    assert [loan.is_top_up for loan in (plain, top_up, tranche)] == [False, True, False]
    assert [loan.is_multi_disburse for loan in (plain, tranche)] == [False, True]


def test_a_closing_loan_makes_a_top_up_even_without_the_flag():
    row = example("loan_list_page_approved")["pageItems"][0] | {"closureLoanId": 7}

    assert loan_from(row).is_top_up


def test_the_documented_row_of_an_old_server_is_read():
    loan = loan_from(example("loan_list_page_documented")["pageItems"][0])

    assert (loan.status_id, loan.waiting_for_disbursal, loan.is_individual) == (300, False, True)
    assert (loan.currency, loan.net_disbursal_amount) == ("USD", None)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"principal": None},
        {"principal": 0},
        {"loanProductId": None},
        {"currency": None},
        {"currency": {"code": "KESX"}},
        {"currency": "KES"},
        {"timeline": []},
        {"timeline": {"approvedOnDate": "soon"}},
    ],
    ids=str,
)
def test_a_row_that_lacks_what_money_needs_is_refused(change):
    with pytest.raises(Unreadable):
        loan_from(example("loan_list_page_approved")["pageItems"][0] | change)


def test_a_detail_shows_our_transaction():
    loan = loan_detail_from(example("loan_detail_active_with_our_transaction"))

    (disbursal,) = loan.disbursals  # the fee taken at disbursement (type 5) is none
    assert disbursal.transaction_id == 9044
    assert (disbursal.amount, disbursal.date) == (Decimal(20000), date(2025, 10, 23))
    assert (disbursal.external_id, disbursal.receipt_number) == ("lp:default:3198:1", "TJN7RT61SV")
    assert disbursal.account_number == "254712345678"
    assert not disbursal.is_reversed


def test_a_reversed_disbursement_is_shown_as_reversed():
    detail = example("loan_detail_active_with_our_transaction")
    detail["transactions"][0]["manuallyReversed"] = True

    assert loan_detail_from(detail).disbursals[0].is_reversed


def test_a_plain_detail_has_no_obstacle():
    loan = loan_detail_from(example("loan_detail_approved"))

    assert (loan.linked_savings_id, loan.tranche_count, loan.disbursals) == (None, 0, ())
    assert (loan.first_repayment_date, loan.has_account_transfer_charge) == (None, False)


def test_tranches_savings_and_charges_by_transfer_are_seen():
    detail = example("loan_detail_tranche_approved")
    detail["linkedAccount"] = {"id": 41, "accountNo": "000000041"}
    detail["expectedFirstRepaymentOnDate"] = [2025, 11, 23]
    detail["charges"] = [{"chargeTimeType": {"id": 12}, "chargePaymentMode": {"id": 1}}]

    loan = loan_detail_from(detail)

    assert (loan.tranche_count, loan.linked_savings_id) == (2, 41)
    assert loan.first_repayment_date == date(2025, 11, 23)
    assert loan.has_account_transfer_charge


def test_a_client_is_read():
    client = client_from(example("client_active"))

    assert (client.client_id, client.display_name, client.office_id) == (2, "Jane Wanjiku", 2)
    assert (client.mobile_number, client.is_active) == ("0712345678", True)


@pytest.mark.parametrize(
    ("change", "is_active"),
    [
        ({"status": {"id": 600}}, False),
        ({"active": False}, False),
        ({"active": None}, False),
        ({"status": None}, True),
    ],
    ids=str,
)
def test_a_client_is_active_only_if_it_says_so(change, is_active):
    assert client_from(example("client_active") | change).is_active is is_active


def test_a_client_without_a_number_has_an_empty_one():
    assert client_from(example("client_without_mobile")).mobile_number == ""


def test_only_holidays_in_force_count():
    row = {"name": "Jamhuri", "fromDate": [2025, 12, 12], "toDate": "2025-12-12"}
    rows = [row | {"status": {"id": status}} for status in (100, 300, 600)]

    assert active_holidays(rows) == (
        Holiday(name="Jamhuri", from_date=date(2025, 12, 12), to_date=date(2025, 12, 12)),
    )


def test_a_holiday_without_a_date_is_refused():
    with pytest.raises(Unreadable, match="toDate"):
        active_holidays([{"name": "Jamhuri", "fromDate": [2025, 12, 12]}])


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR", {0, 1, 2, 3, 4}),
        ("freq=weekly;byday=sa,su;interval=1", {5, 6}),
    ],
)
def test_working_days_are_read_from_the_rule(rule, days):
    assert weekdays_of({"recurrence": rule}) == days


@pytest.mark.parametrize("rule", ["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=", "BYDAY=1MO"])
def test_a_rule_that_names_no_weekday_is_refused(rule):
    with pytest.raises(Unreadable):
        weekdays_of({"recurrence": rule})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("awaiting.approval", CommandState.AWAITING),
        ("commandProcessingResultType.awaiting.approval", CommandState.AWAITING),
        ("commandProcessingResultType.underProcessing", CommandState.AWAITING),
        ("processed", CommandState.PROCESSED),
        ("commandProcessingResultType.processed", CommandState.PROCESSED),
        ("rejected", CommandState.REJECTED),
        ("commandProcessingResultType.error", CommandState.REJECTED),
        ("invalid", CommandState.UNREADABLE),
        (None, CommandState.UNREADABLE),
    ],
)
def test_the_state_of_a_command_is_read(word, state):
    assert command_state_of({"processingResult": word}, loan_id=3198) == state


@pytest.mark.parametrize("value", [{}, "x", [1], [[]]])
def test_a_list_of_something_else_is_refused(value):
    with pytest.raises(Unreadable):
        rows_of(value, "charges")
