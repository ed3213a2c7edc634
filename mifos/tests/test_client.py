"""One question to Mifos X, one typed answer, and errors that say what to do next."""

import json
import locale
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import requests

from mifos.client import (
    AwaitingChecker,
    CommandState,
    Disbursed,
    Holiday,
    MifosBusy,
    MifosClient,
    MifosConfig,
    MifosCredentials,
    MifosNotAllowed,
    MifosNotFound,
    MifosRefused,
    MifosUncertain,
    MifosUnreachable,
    MifosUnreadable,
    PaymentType,
    Product,
    Unsupported,
    may_disburse,
)
from mifos.tests.conftest import BASE, EXAMPLES, example, order

LOAN = f"{BASE}/loans/3198"
CACHED = {"x-served-from-cache": "true"}


def domain_error(code, status=403):
    error = example("error_holiday")
    error["errors"][0]["userMessageGlobalisationCode"] = code
    return {"status": status, "json": error}


def example_answer(name):
    entry = EXAMPLES[name]
    return {
        "status": entry["httpStatus"],
        "json": entry["payload"],
        "headers": entry.get("headers", {}),
    }


# --- every call ---


def test_a_call_says_who_asks_and_for_which_tenant(mifos, http):
    http.get(f"{BASE}/paymenttypes", json=[])

    mifos.payment_types()

    headers = http.calls[0].request.headers
    assert headers["Fineract-Platform-TenantId"] == "default"
    assert headers["Authorization"] == "Basic c3ZjOmh1bnRlcjI="
    assert headers["Content-Type"] == headers["Accept"] == "application/json"


def test_a_config_does_not_show_its_password():
    config = MifosConfig(base_url=BASE, tenant="t", username="u", password="hunter2")

    assert "hunter2" not in repr(config)


def test_a_client_without_a_tenant_is_not_made():
    with pytest.raises(MifosCredentials, match="tenant"):
        MifosClient(MifosConfig(base_url=BASE, tenant=" ", username="u", password="p"))


def test_no_more_calls_than_agreed_are_under_way(http):
    mifos = MifosClient(
        MifosConfig(base_url=BASE, tenant="t", username="u", password="p", concurrency=2)
    )
    under_way, most = [], []

    def answer(request):
        under_way.append(1)
        most.append(len(under_way))
        time.sleep(0.01)
        under_way.pop()
        return 200, {}, "[]"

    http.add_callback("GET", f"{BASE}/paymenttypes", answer)
    threads = [threading.Thread(target=mifos.payment_types) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(most) == 8
    assert max(most) <= 2


READ_FAILURES = [
    ({"body": requests.ConnectTimeout()}, MifosUnreachable),
    ({"body": requests.ReadTimeout()}, MifosUnreachable),
    ({"body": requests.ConnectionError()}, MifosUnreachable),
    ({"status": 500, "json": {"Exception": "boom"}}, MifosUnreachable),
    ({"status": 502, "body": "<html>"}, MifosUnreachable),
    ({"status": 503}, MifosUnreachable),
    ({"status": 504}, MifosUnreachable),
    ({"status": 408, "json": example("error_loan_not_found")}, MifosUnreachable),
    ({"status": 204}, MifosUnreachable),
    ({"status": 301, "headers": {"Location": "https://elsewhere.example/"}}, MifosUnreachable),
    ({"status": 403, "body": "<html>Forbidden by a firewall"}, MifosUnreachable),
    ({"status": 404, "body": "<html>Not Found"}, MifosUnreachable),
    ({"status": 200, "body": "<html>"}, MifosUnreachable),
    ({"status": 200, "body": '{"id": NaN}'}, MifosUnreachable),
    ({"status": 200, "json": []}, MifosUnreadable),
    ({"status": 200, "json": {}}, MifosUnreadable),
    ({"status": 401, "body": ""}, MifosCredentials),
    (example_answer("error_unauthenticated_json"), MifosCredentials),
    (example_answer("error_unauthenticated_filter"), MifosCredentials),
    ({"status": 400, "body": "<html>HTTP Status 400"}, MifosCredentials),
    ({"status": 400, "json": {"status": 400, "error": "Bad Request"}}, MifosCredentials),
    (example_answer("error_loan_not_found"), MifosNotFound),
    (example_answer("error_no_permission"), MifosNotAllowed),
    (example_answer("error_holiday"), MifosRefused),
    (example_answer("error_loan_locked_by_cob"), MifosBusy),
    (example_answer("error_conflict"), MifosBusy),
    ({"status": 429}, MifosBusy),
]


@pytest.mark.parametrize(("answer", "error"), READ_FAILURES, ids=str)
def test_a_reading_that_fails_says_what_to_do_next(mifos, http, answer, error):
    http.get(LOAN, **answer)

    with pytest.raises(error) as caught:
        mifos.loan(3198)

    assert type(caught.value) is error
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_tenant_is_told_from_a_wrong_password(mifos, http):
    unauthenticated = example("error_unauthenticated_json")
    unauthenticated["userMessageGlobalisationCode"] = "error.msg.invalid.tenant.identifier"
    http.get(LOAN, status=401, json=unauthenticated)

    with pytest.raises(MifosCredentials, match="tenant"):
        mifos.loan(3198)


def test_text_of_an_error_from_outside_is_not_shown_to_people(mifos, http):
    http.get(LOAN, **domain_error("<script>alert(1)</script>"))

    with pytest.raises(MifosRefused) as caught:
        mifos.loan(3198)

    assert "alert(1)" not in str(caught.value)
    assert "Errors contain reason" not in str(caught.value)


# --- loan, client, lists ---


def test_a_loan_is_read_with_what_a_list_does_not_show(mifos, http):
    http.get(LOAN, json=example("loan_detail_approved"))

    loan = mifos.loan(3198)

    assert loan.waiting_for_disbursal
    assert http.calls[0].request.params == {
        "associations": "charges,multiDisburseDetails,linkedAccount,transactions"
    }


def test_an_answer_about_another_loan_is_not_believed(mifos, http):
    http.get(f"{BASE}/loans/77", json=example("loan_detail_approved"))

    with pytest.raises(MifosUnreachable, match="about loan 3198"):
        mifos.loan(77)


def test_a_client_is_read_without_the_rest_of_his_file(mifos, http):
    http.get(f"{BASE}/clients/2", json=example("client_active"))

    client = mifos.client(2)

    assert (client.client_id, client.mobile_number) == (2, "0712345678")
    assert http.calls[0].request.params == {
        "fields": "id,displayName,mobileNo,active,status,officeId"
    }


def test_an_answer_about_another_client_is_not_believed(mifos, http):
    http.get(f"{BASE}/clients/3", json=example("client_active"))

    with pytest.raises(MifosUnreachable, match="about client 2"):
        mifos.client(3)


def test_payment_types_are_listed(mifos, http):
    http.get(f"{BASE}/paymenttypes", json=example("payment_types"))

    assert mifos.payment_types() == [
        PaymentType(payment_type_id=24, name="PTC", is_cash=True),
        PaymentType(payment_type_id=25, name="mPay", is_cash=False),
        PaymentType(payment_type_id=7, name="MPesa B2C", is_cash=False),
    ]


def test_products_are_listed(mifos, http):
    http.get(f"{BASE}/loanproducts", json=[{"id": 5, "name": "Biashara", "shortName": "BIAS"}])

    assert mifos.products() == [Product(product_id=5, name="Biashara")]


@pytest.mark.parametrize("body", ["null", "{}", '[{"name": "x"}]', "[1]"])
def test_an_odd_list_is_not_an_empty_one(mifos, http, body):
    http.get(f"{BASE}/paymenttypes", body=body)

    with pytest.raises(MifosUnreachable):
        mifos.payment_types()


# --- permissions ---


def test_permissions_come_from_a_log_in(mifos, http):
    http.post(f"{BASE}/authentication", json=example("authentication_response"))

    permissions = mifos.permissions()

    assert permissions == {"READ_LOAN", "READ_CLIENT", "DISBURSE_LOAN", "READ_PAYMENTTYPE"}
    assert json.loads(http.calls[0].request.body) == {"username": "svc", "password": "hunter2"}
    assert "hunter2" not in http.calls[0].request.url


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"isTwoFactorAuthenticationRequired": True}, MifosCredentials, "second factor"),
        ({"shouldRenewPassword": True}, MifosCredentials, "expired"),
        ({"permissions": None}, MifosUnreachable, "permissions"),
    ],
)
def test_a_log_in_that_is_of_no_use_says_why(mifos, http, change, error, words):
    http.post(f"{BASE}/authentication", json=example("authentication_response") | change)

    with pytest.raises(error, match=words):
        mifos.permissions()


def test_a_wrong_password_is_seen_at_log_in(mifos, http):
    http.post(f"{BASE}/authentication", status=401)

    with pytest.raises(MifosCredentials):
        mifos.permissions()


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        ({"DISBURSE_LOAN", "READ_LOAN"}, True),
        ({"ALL_FUNCTIONS"}, True),
        ({"ALL_FUNCTIONS_READ", "READ_LOAN"}, False),
        (set(), False),
    ],
)
def test_recording_needs_the_right_to_disburse(permissions, may):
    assert may_disburse(frozenset(permissions)) is may


# --- dates and calendar ---

LATE_EVENING = datetime(2025, 10, 23, 21, 30, tzinfo=UTC)  # 00:30 of the 24th in Nairobi
BUSINESS_DATE = f"{BASE}/businessdate/BUSINESS_DATE"
CONFIGURATIONS = f"{BASE}/configurations"


def settings(**flags):
    rows = [{"name": name.replace("_", "-"), "enabled": flag} for name, flag in flags.items()]
    return {"globalConfiguration": rows}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "json": example("error_loan_not_found")},
        {"status": 404, "body": "<html>"},
        {"status": 403, "json": example("error_no_permission")},
    ],
)
def test_without_a_business_date_today_is_the_tenants_day(mifos, http, answer):
    http.get(BUSINESS_DATE, **answer)

    assert mifos.business_date(now=LATE_EVENING) == date(2025, 10, 24)


@pytest.mark.parametrize(
    ("configurations", "day"),
    [
        ({"json": settings(enable_business_date=True)}, date(2025, 10, 22)),
        ({"json": settings(enable_business_date=False)}, date(2025, 10, 24)),
        ({"json": settings()}, date(2025, 10, 22)),
        ({"status": 403, "json": example("error_no_permission")}, date(2025, 10, 22)),
    ],
)
def test_a_business_date_counts_unless_it_is_switched_off(mifos, http, configurations, day):
    http.get(BUSINESS_DATE, json={"type": "BUSINESS_DATE", "date": [2025, 10, 22]})
    http.get(CONFIGURATIONS, **configurations)

    assert mifos.business_date(now=LATE_EVENING) == day


def test_a_business_date_that_is_today_needs_no_second_question(mifos, http):
    http.get(BUSINESS_DATE, json={"date": [2025, 10, 24]})

    assert mifos.business_date(now=LATE_EVENING) == date(2025, 10, 24)
    assert len(http.calls) == 1


@pytest.mark.parametrize("answer", [{"json": {}}, {"json": {"date": "?"}}, {"status": 500}])
def test_an_odd_business_date_is_not_guessed(mifos, http, answer):
    http.get(BUSINESS_DATE, **answer)

    with pytest.raises(MifosUnreachable):
        mifos.business_date(now=LATE_EVENING)


def test_a_calendar_is_read(mifos, http):
    http.get(
        f"{BASE}/holidays",
        json=[
            {
                "name": "Jamhuri",
                "fromDate": [2025, 12, 12],
                "toDate": [2025, 12, 12],
                "status": {"id": 300},
            }
        ],
    )
    http.get(f"{BASE}/workingdays", json={"recurrence": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"})
    names = {
        "allow-transactions-on-holiday": True,
        "allow-transactions-on-non_workingday": False,
    }
    rows = [{"name": name, "enabled": flag} for name, flag in names.items()]
    http.get(CONFIGURATIONS, json={"globalConfiguration": rows})

    calendar = mifos.calendar(office_id=2)

    day = date(2025, 12, 12)
    assert calendar.holidays == (Holiday(name="Jamhuri", from_date=day, to_date=day),)
    assert calendar.working_weekdays == {0, 1, 2, 3, 4}
    assert (calendar.allows_holidays, calendar.allows_non_working_days) == (True, False)
    assert calendar.unreadable == ()
    assert http.calls[0].request.params == {"officeId": "2"}


def test_a_calendar_names_what_we_may_not_see(mifos, http):
    http.get(f"{BASE}/holidays", status=403, json=example("error_no_permission"))
    http.get(f"{BASE}/workingdays", status=404, body="")
    http.get(CONFIGURATIONS, status=403, json=example("error_no_permission"))

    calendar = mifos.calendar(office_id=2)

    assert (calendar.holidays, calendar.working_weekdays) == ((), None)
    assert (calendar.allows_holidays, calendar.allows_non_working_days) == (False, False)
    assert calendar.unreadable == ("holidays", "working days", "configurations")


@pytest.mark.parametrize("path", ["holidays", "workingdays", "configurations"])
def test_a_calendar_that_does_not_answer_is_unreachable(mifos, http, path):
    http.get(f"{BASE}/holidays", json=[])
    http.get(f"{BASE}/workingdays", json={"recurrence": "BYDAY=MO"})
    http.get(CONFIGURATIONS, json=settings())
    http.replace("GET", f"{BASE}/{path}", status=503)

    with pytest.raises(MifosUnreachable):
        mifos.calendar(office_id=2)


# --- disburse ---


def test_a_disbursement_is_written_as_the_contract_says(mifos, http):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))

    mifos.disburse(order())

    request = http.calls[0].request
    assert json.loads(request.body) == example("disburse_request_recommended")
    assert request.params == {"command": "disburse"}
    assert request.headers["Idempotency-Key"] == "lp:default:3198:1:mark:1"
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("20000.000000", b'"transactionAmount": 20000,'),
        ("20000.50", b'"transactionAmount": 20000.5,'),
        ("2E+4", b'"transactionAmount": 20000,'),
        ("123456789.123456", b'"transactionAmount": 123456789.123456,'),
    ],
)
def test_an_amount_is_written_as_a_plain_number(mifos, http, amount, written):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))

    mifos.disburse(order(principal=Decimal(amount)))

    assert written in http.calls[0].request.body


def test_no_locale_of_the_process_changes_a_month(mifos, http):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))
    before = locale.setlocale(locale.LC_TIME)
    for name in ("sw_KE.UTF-8", "de_DE.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_TIME, name)
            break
        except locale.Error:
            continue
    try:
        for month in range(1, 13):
            mifos.disburse(order(on=date(2026, month, 3)))
    finally:
        locale.setlocale(locale.LC_TIME, before)

    written = [json.loads(call.request.body)["actualDisbursementDate"] for call in http.calls]
    assert written[0] == "03 January 2026"
    assert [text.split()[1][:3] for text in written] == (
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    )


def test_texts_are_cut_to_their_columns(mifos, http):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))

    mifos.disburse(
        order(
            receipt_number="r" * 60, account_number="a" * 60, routing_code="c" * 60, note="n" * 1200
        )
    )

    body = json.loads(http.calls[0].request.body)
    assert [len(body[name]) for name in ("receiptNumber", "accountNumber", "routingCode")] == [
        50
    ] * 3
    assert len(body["note"]) == 1000


def test_an_empty_note_is_left_out(mifos, http):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))

    mifos.disburse(order(note=""))

    assert "note" not in json.loads(http.calls[0].request.body)


def test_a_key_too_long_for_its_column_is_folded_the_same_way_every_time(mifos, http):
    http.post(LOAN, json=example("disburse_success_1_9_plus"))
    keys = ["k" * 51, "k" * 51, "k" * 52, "k" * 50, "kéy"]

    for key in keys:
        mifos.disburse(order(idempotency_key=key))

    one, again, other, short, odd = (call.request.headers["Idempotency-Key"] for call in http.calls)
    assert one == again != other
    assert short == "k" * 50
    assert all(len(key) <= 50 for key in (one, other, odd))


@pytest.mark.parametrize(
    "change",
    [
        {"external_id": ""},
        {"external_id": "x" * 101},
        {"idempotency_key": ""},
        {"principal": Decimal(0)},
    ],
)
def test_an_order_that_would_lose_its_proof_is_not_made(change):
    with pytest.raises(ValueError, match=r"."):
        order(**change)


def test_without_a_payment_type_nothing_is_sent(mifos, http):
    with pytest.raises(MifosRefused, match="payment type"):
        mifos.disburse(order(payment_type_id=0))

    assert len(http.calls) == 0


@pytest.mark.parametrize(
    "name",
    ["disburse_success_1_9_plus", "disburse_success_1_8_x", "disburse_success_1_7_and_older"],
)
def test_a_success_of_every_era_is_a_success(mifos, http, name):
    http.post(LOAN, json=example(name))

    assert mifos.disburse(order()) == Disbursed(loan_id=3198, status_id=300)


@pytest.mark.parametrize("status_id", [300, 600, 700])
def test_a_loan_may_be_closed_or_overpaid_by_its_disbursement(mifos, http, status_id):
    body = example("disburse_success_1_9_plus")
    body["changes"]["status"]["id"] = status_id
    http.post(LOAN, json=body)

    assert mifos.disburse(order()) == Disbursed(loan_id=3198, status_id=status_id)


def test_a_replayed_success_is_a_success(mifos, http):
    http.post(LOAN, **example_answer("idempotency_replay_success"))

    assert isinstance(mifos.disburse(order()), Disbursed)


@pytest.mark.parametrize("extra", [{}, {"resourceId": None}, {"loanId": 3198}])
def test_an_empty_success_awaits_a_checker(mifos, http, extra):
    http.post(LOAN, json=example("disburse_maker_checker_pending") | extra)

    assert mifos.disburse(order()) == AwaitingChecker(command_id=4411)


def changed(**changes):
    body = example("disburse_success_1_9_plus")
    return {"json": body | changes}


UNCERTAIN = [
    {"body": requests.ReadTimeout()},
    {"body": requests.ConnectionError()},
    {"body": requests.exceptions.ChunkedEncodingError()},
    {"status": 500, "json": {"Exception": "boom"}},
    {"status": 500, "body": ""},
    {"status": 502, "body": "<html>"},
    {"status": 503},
    {"status": 504},
    {"status": 408},
    {"status": 201, "json": example("disburse_success_1_9_plus")},
    {"status": 202, "json": example("disburse_maker_checker_pending")},
    {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
    {"status": 307, "headers": {"Location": "https://elsewhere.example/"}},
    {"status": 403, "body": "<html>a firewall"},
    {"status": 404, "body": "<html>"},
    {"body": "<html>a hotel's log-in page"},
    {"body": ""},
    {"body": '{"loanId": 3198'},
    {"body": '{"loanId": 3198, "loanId": 3198, "changes": {"status": {"id": 300}}}'},
    {"json": []},
    {"json": {}},
    {"json": {"loanId": 3198}},
    {"json": {"commandId": 0}},
    {"json": {"commandId": "4411"}},
    {"json": {"commandId": 4411, "changes": {}}},
    changed(loanId=3199),
    changed(loanId=None),
    changed(loanId="3198"),
    changed(changes={}),
    changed(changes=None),
    changed(changes={"status": {"id": 200}}),
    changed(changes={"status": {"id": 601}}),
    changed(changes={"status": {}}),
]


@pytest.mark.parametrize("answer", UNCERTAIN, ids=str)
def test_a_recording_that_may_have_worked_is_uncertain(mifos, http, answer):
    http.post(LOAN, **answer)

    with pytest.raises(MifosUncertain) as caught:
        mifos.disburse(order())

    assert "3198" in str(caught.value)
    assert not caught.value.replayed
    assert len(http.calls) == 1


def test_a_recording_that_did_not_leave_is_only_unreachable(mifos, http):
    http.post(LOAN, body=requests.ConnectTimeout())

    with pytest.raises(MifosUnreachable):
        mifos.disburse(order())


def test_a_stored_server_error_is_known_as_a_replay(mifos, http):
    http.post(LOAN, status=500, json={"Exception": "boom"}, headers=CACHED)

    with pytest.raises(MifosUncertain) as caught:
        mifos.disburse(order())

    assert caught.value.replayed


# contracts/mifos.md 5.2, row by row.
REFUSALS = [
    (400, "error.msg.parameter.unsupported"),
    (400, "validation.msg.loan.disbursement.actualDisbursementDate.cannot.be.blank"),
    (404, "error.msg.loan.id.invalid"),
    (404, "error.msg.payment.type.invalid"),
    (403, "error.msg.client.not.active.exception"),
    (403, "error.msg.group.not.active.exception"),
    (403, "error.msg.loan.disburse.amount.must.be.less.than.approved.principal"),
    (403, "error.msg.transaction.date.cannot.be.earlier.than.charge.off.date"),
    (403, "error.msg.loan.disbursal.not.allowed.on.charged.off"),
    (400, "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state"),
    (403, "error.msg.loan.disbursement.amount.not.sufficient"),
    (403, "error.msg.actual.disbursement.date.does.not.match.with.expected.disbursal.date"),
    (403, "error.msg.entry.required.in.datatable.kyc"),
    (403, "error.msg.calendar.loan.actual.disbursement.date.not.valid.recurring.date"),
    (403, "error.msg.loan.application.disbursement.date.on.non.working.day"),
    (403, "error.msg.loan.application.disbursement.date.on.holiday"),
    (403, "error.msg.loan.actualdisbursementdate.before.submittedDate"),
    (403, "error.msg.loan.disbursal.cannot.be.before.approval.date"),
    (403, "error.msg.loan.disburse.amount.must.be.less.than.approved.amount"),
    (
        403,
        "error.msg.loan.disbursal.amount.can't.be.greater.than."
        "maximum.applied.loan.amount.calculation",
    ),
    (403, "error.msg.loan.to.be.closed.with.topup.is.not.active"),
    (403, "error.msg.loan.amount.less.than.outstanding.of.loan.to.be.closed"),
    (403, "error.msg.loan.disbursal.cannot.be.after.expected.first.repayment.date"),
    (403, "error.msg.loan.disbursal.cannot.be.a.future.date"),
    (403, "error.msg.loan.disbursal.cannot.be.before.client.transfer.date"),
    (403, "error.msg.loan.disburse.to.savings.requires.linked.account"),
    (403, "error.msg.loan.disburse.charge.requires.linked.account"),
    (403, "error.msg.glJournalEntry.invalid.accounting.closed"),
    (400, "validation.msg.loan.transaction.externalId.value.must.be.unique"),
    (403, "error.msg.data.integrity.issue"),
]


@pytest.mark.parametrize("headers", [{}, CACHED], ids=["first", "replayed"])
@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_a_decided_no_keeps_its_inner_code(mifos, http, status, code, headers):
    http.post(LOAN, **domain_error(code, status), headers=headers)

    with pytest.raises(MifosRefused) as caught:
        mifos.disburse(order())

    error = caught.value
    assert type(error) is (MifosNotFound if status == 404 else MifosRefused)
    assert (error.code, error.http_status, error.replayed) == (code, status, bool(headers))
    assert str(error).startswith("Mifos X refused while recording loan 3198 as disbursed: ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("error_already_disbursed_single", "disbursed already"),
        ("error_already_disbursed_2026_with_amount", "disbursed already"),
        ("error_before_approval_date", "before the loan was approved"),
        ("error_future_date", "after its business date"),
        ("error_amount_over_approved_1_10", "above what was approved"),
        ("error_client_not_active", "client is not active"),
        ("error_holiday", "it is a holiday"),
        ("error_non_working_day", "not a working day"),
        ("error_unsupported_parameter", "does not know a field"),
        ("error_loan_not_found", "no such loan"),
    ],
)
def test_a_refusal_is_told_in_plain_words(mifos, http, name, words):
    http.post(LOAN, **example_answer(name))

    with pytest.raises(MifosRefused, match=words):
        mifos.disburse(order())


def test_a_missing_data_table_entry_names_the_table(mifos, http):
    http.post(LOAN, **domain_error("error.msg.entry.required.in.datatable.kyc_check"))

    with pytest.raises(MifosRefused, match="data table kyc_check"):
        mifos.disburse(order())


def test_a_missing_right_is_told_from_a_broken_rule(mifos, http):
    http.post(LOAN, **example_answer("error_no_permission"))

    with pytest.raises(MifosNotAllowed, match="permission") as caught:
        mifos.disburse(order())

    assert caught.value.code == "error.msg.not.authorized"


@pytest.mark.parametrize("name", ["error_unauthenticated_json", "error_unauthenticated_filter"])
def test_refused_credentials_stop_a_recording(mifos, http, name):
    http.post(LOAN, **example_answer(name))

    with pytest.raises(MifosCredentials):
        mifos.disburse(order())


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            example_answer("error_conflict"),
            "error.msg.platform.service.unknown.conflict",
            "changed by someone else",
        ),
        (example_answer("error_loan_locked_by_cob"), "error.msg.loan.locked", "close-of-business"),
        ({"status": 409, "body": ""}, "", "changed by someone else"),
        ({"status": 425, "json": example("error_idempotency_in_progress")}, "", "under way"),
        ({"status": 429, "body": "slow down"}, "", "too many"),
    ],
    ids=["conflict", "locked", "bare 409", "425", "429"],
)
@pytest.mark.parametrize("headers", [{}, CACHED], ids=["first", "replayed"])
def test_a_busy_server_is_waited_for(mifos, http, answer, code, words, headers):
    http.post(LOAN, **{**answer, "headers": headers})

    with pytest.raises(MifosBusy, match=words) as caught:
        mifos.disburse(order())

    error = caught.value
    assert (error.code, error.http_status) == (code, answer["status"])
    assert error.replayed is (bool(headers) and answer["status"] != 425)


FLAG = "syncExpectedWithDisbursementDate"


@pytest.mark.parametrize(
    ("answer", "strict"),
    [
        ({"json": {"id": 5, FLAG: True}}, True),
        ({"json": {"id": 5, FLAG: False}}, False),
        ({"json": {"id": 5}}, False),
        ({"status": 403, "json": example("error_no_permission")}, None),
    ],
)
def test_a_product_says_whether_its_expected_date_binds(mifos, http, answer, strict):
    http.get(f"{BASE}/loanproducts/5", **answer)

    assert mifos.disburses_on_expected_date_only(5) is strict


# --- proof afterwards ---

TRANSACTION = f"{LOAN}/transactions/external-id/lp%3Adefault%3A3198%3A1"
OURS = "lp:default:3198:1"


def test_our_transaction_is_found_by_our_id(mifos, http):
    row = example("loan_detail_active_with_our_transaction")["transactions"][0]
    http.get(TRANSACTION, json=row)

    found = mifos.disbursal_by_external_id(3198, OURS)

    assert found.receipt_number == "TJN7RT61SV"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (domain_error("error.msg.loan.transaction.external.id.invalid", 404), None),
        ({"json": {"id": 9, "type": {"id": 5}}}, None),
        ({"status": 404, "body": "<html>no such address"}, Unsupported.UNSUPPORTED),
        ({"status": 405, "body": ""}, Unsupported.UNSUPPORTED),
    ],
)
def test_absence_is_told_from_a_server_too_old_to_say(mifos, http, answer, found):
    http.get(TRANSACTION, **answer)

    assert mifos.disbursal_by_external_id(3198, OURS) is found


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (example_answer("error_loan_not_found"), MifosNotFound),
        (example_answer("error_no_permission"), MifosNotAllowed),
        ({"status": 500}, MifosUnreachable),
        ({"body": requests.ReadTimeout()}, MifosUnreachable),
        ({"json": {"type": {"id": 1}}}, MifosUnreachable),
        ({"json": [{"id": 9}]}, MifosUnreachable),
        ({"body": "null"}, MifosUnreachable),
        ({"json": {}}, MifosUnreachable),
    ],
)
def test_a_look_up_that_fails_is_not_absence(mifos, http, answer, error):
    http.get(TRANSACTION, **answer)

    with pytest.raises(error):
        mifos.disbursal_by_external_id(3198, OURS)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"json": {"id": 4411, "processingResult": "awaiting.approval"}}, CommandState.AWAITING),
        ({"json": {"id": 4411, "processingResult": "processed"}}, CommandState.PROCESSED),
        ({"json": {"id": 4411, "processingResult": "rejected"}}, CommandState.REJECTED),
        ({"json": {}}, CommandState.UNREADABLE),
        ({"status": 403, "json": example("error_no_permission")}, CommandState.UNREADABLE),
        ({"status": 404, "json": example("error_loan_not_found")}, CommandState.GONE),
        ({"json": {"loanId": 3198, "processingResult": "processed"}}, CommandState.PROCESSED),
        ({"json": {"loanId": 7, "processingResult": "processed"}}, CommandState.OF_ANOTHER_LOAN),
    ],
)
def test_a_command_is_followed(mifos, http, answer, state):
    http.get(f"{BASE}/audits/4411", **answer)

    assert mifos.command_state(4411, loan_id=3198) == state


@pytest.mark.parametrize("answer", [{"status": 503}, {"json": []}])
def test_a_command_that_cannot_be_asked_about_is_asked_later(mifos, http, answer):
    http.get(f"{BASE}/audits/4411", **answer)

    with pytest.raises(MifosUnreachable):
        mifos.command_state(4411, loan_id=3198)
