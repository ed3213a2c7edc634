"""Lists, details, clients and the door, as contracts/mifos.md says."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
import requests

from sandbox.tests.conftest import SHAPES, assert_shaped


def loans(box, number=5, **changes):
    return box.add_loans(
        "umoja", [{"client_id": 2, "product_id": 5, **changes} for _ in range(number)]
    )


def ids(response):
    return [row["id"] for row in response.json()["pageItems"]]


def test_a_list_row_has_the_contract_shape(box, mifos):
    loans(box, 1, charges=600, external_id="APP-1")
    row = mifos.get("loans", status=200).json()["pageItems"][0]
    assert_shaped(row, SHAPES["loan_row"])
    assert row["netDisbursalAmount"] == 19400
    assert "mobileNo" not in row
    assert row["closureLoanId"] == 0


def test_amounts_have_six_decimals_on_the_wire(box, mifos):
    loans(box, 1, principal="20000.5")
    assert re.search(r'"principal":20000\.500000[,}]', mifos.get("loans").text)


@pytest.mark.parametrize(
    ("era", "query", "kept"),
    [
        ("1.8", {"status": 200}, {100, 200, 300}),
        ("1.8", {"sqlSearch": "l.loan_status_id in (200)"}, {200}),
        ("1.8", {"sqlSearch": "l.loan_status_id=200"}, {200}),
        ("1.10", {"status": 200}, {200}),
        ("1.10", {"sqlSearch": "l.loan_status_id in (200)"}, {100, 200, 300}),
        ("2026", {"status": 200}, {200}),
    ],
)
def test_a_filter_of_another_era_is_ignored_in_silence(box, mifos, era, query, kept):
    box.change_tenant("umoja", era=era)
    for status in (100, 200, 300):
        loans(box, 2, status=status)
    rows = mifos.get("loans", **query).json()["pageItems"]
    assert {row["status"]["id"] for row in rows} == kept


def test_a_status_that_is_no_integer_is_a_server_error(box, mifos):
    answer = mifos.get("loans", status="approved")
    assert (answer.status_code, answer.json()) == (
        500,
        {"Exception": 'For input string: "approved"'},
    )


def test_an_absent_limit_is_200_rows_before_1_9_and_every_row_after(box, mifos):
    loans(box, 230)
    assert len(ids(mifos.get("loans", offset=5))) == 230
    box.change_tenant("umoja", era="1.8")
    assert len(ids(mifos.get("loans"))) == 200


def test_pages_in_order_cover_every_loan_and_shift_when_one_leaves(box, mifos):
    made = loans(box, 6)
    ask = {"status": 200, "orderBy": "l.id", "sortOrder": "ASC", "limit": 3}
    assert ids(mifos.get("loans", offset=0, **ask)) == made[:3]
    box.change_loan("umoja", made[0], status=300)
    assert ids(mifos.get("loans", offset=3, **ask)) == made[4:]  # made[3] is skipped


def test_without_order_by_the_rows_are_not_in_order_of_id(box, mifos):
    made = loans(box, 50)
    found = ids(mifos.get("loans", status=200))
    assert sorted(found) == made != found


def test_a_jlg_loan_of_two_offices_comes_twice(box, mifos):
    made = loans(box, 1, loan_type=3, group_id=17, group_office_id=9)
    answer = mifos.get("loans", status=200)
    assert ids(answer) == made * 2
    assert answer.json()["totalFilteredRecords"] == 2


def test_a_group_loan_has_no_client(box, mifos):
    loans(box, 1, loan_type=2, group_id=17, client_id=None)
    row = mifos.get("loans").json()["pageItems"][0]
    assert row["loanType"]["id"] == 2
    assert "clientId" not in row


def test_a_detail_has_what_its_associations_ask_for(box, mifos):
    made = loans(
        box,
        1,
        charges=600,
        multi_disburse=True,
        linked_savings=77,
        tranches=[{"id": 1, "expectedDisbursementDate": "2025-10-23", "principal": 5000}],
    )
    plain = mifos.get(f"loans/{made[0]}").json()
    full = mifos.get(
        f"loans/{made[0]}", associations="charges,multiDisburseDetails,linkedAccount"
    ).json()
    assert not {"charges", "linkedAccount", "disbursementDetails"} & set(plain)
    assert full["charges"][0]["amount"] == 600
    assert full["disbursementDetails"][0]["expectedDisbursementDate"] == [2025, 10, 23]
    assert full["linkedAccount"]["id"] == 77


def test_fields_projects_the_top_level(box, mifos):
    made = loans(box, 1)
    assert set(mifos.get(f"loans/{made[0]}", fields="id,status").json()) == {"id", "status"}


def test_a_client_has_the_contract_shape_and_its_phone_as_typed(box, mifos):
    box.change_client("umoja", 2, mobile_no="+254 712-345678")
    body = mifos.get("clients/2").json()
    assert_shaped(body, {**SHAPES["client_active"]})
    assert body["mobileNo"] == "+254 712-345678"
    box.change_client("umoja", 2, mobile_no=None)
    assert "mobileNo" not in mifos.get("clients/2").json()


def test_dates_are_arrays_or_iso_text(box, mifos):
    made = loans(box, 1, approved_on="2025-10-22")
    assert mifos.get(f"loans/{made[0]}").json()["timeline"]["approvedOnDate"] == [2025, 10, 22]
    box.change_tenant("umoja", iso_dates=True)
    assert mifos.get(f"loans/{made[0]}").json()["timeline"]["approvedOnDate"] == "2025-10-22"


def test_an_unknown_tenant_is_400_and_not_the_envelope(box, mifos):
    mifos.tenant = "nobody"
    answer = mifos.get("loans")
    assert answer.status_code == 400
    assert "WWW-Authenticate" in answer.headers
    assert "json" not in answer.headers["Content-Type"]


def test_the_tenant_may_come_as_a_parameter(box):
    box.add_loans("umoja", [{"client_id": 2}])
    url = f"{box.mifos_api}/loans?tenantIdentifier=umoja"
    assert requests.get(url, auth=("svc", "pw"), timeout=5).status_code == 200


def test_a_bad_password_is_401_and_no_permission_is_403(box, mifos):
    box.change_tenant("umoja", permissions=["READ_LOAN"])
    answer = mifos.get("clients/2")
    assert answer.status_code == 403
    assert (
        answer.json()["errors"][0]["defaultUserMessage"] == "User has no authority to: READ_CLIENT"
    )
    mifos.auth = ("svc", "wrong")
    assert mifos.get("loans").status_code == 401


def test_an_unknown_loan_has_the_contract_envelope(box, mifos):
    answer = mifos.get("loans/999")
    assert (answer.status_code, answer.json()) == (404, SHAPES["error_loan_not_found"])


def test_authentication_gives_a_basic_key_and_no_token(box, mifos):
    body = mifos.call("POST", "authentication", json={"username": "svc", "password": "pw"}).json()
    assert_shaped(body, SHAPES["authentication_response"])
    assert set(body) == set(SHAPES["authentication_response"])


def test_the_small_readings_answer(box, mifos):
    box.change_tenant(
        "umoja",
        business_date="2025-10-23",
        working_days="MO,TU",
        holidays=[{"from": "2025-10-20", "name": "Mashujaa"}],
    )
    assert mifos.get("businessdate/BUSINESS_DATE").json()["date"] == [2025, 10, 23]
    assert mifos.get("holidays", officeId=2).json()[0]["fromDate"] == [2025, 10, 20]
    assert mifos.get("workingdays").json()["recurrence"].endswith("BYDAY=MO,TU")
    assert {row["id"] for row in mifos.get("paymenttypes").json()} == {7, 24}
    assert mifos.get("loanproducts").json()[0]["id"] == 5
    assert mifos.get("configurations").json()["globalConfiguration"]
    health = requests.get(f"{box.mifos_url}/fineract-provider/actuator/health", timeout=5)
    assert health.json()["status"] == "UP"


def test_a_server_without_business_date_says_404(box, mifos):
    assert mifos.get("businessdate/BUSINESS_DATE").status_code == 404


def test_a_batch_reads_loans_and_no_clients(box, mifos):
    made = loans(box, 1)
    items = [
        {"requestId": 1, "relativeUrl": f"v1/loans/{made[0]}", "method": "GET"},
        {"requestId": 2, "relativeUrl": "v1/clients/2", "method": "GET"},
    ]
    first, second = mifos.call("POST", "batches", json=items).json()
    assert first["statusCode"] == 200
    assert isinstance(first["body"], str)
    assert second["statusCode"] == 501


def test_every_call_is_counted(box, mifos):
    made = loans(box, 1)
    mifos.get("loans")
    mifos.get(f"loans/{made[0]}")
    mifos.get("clients/2")
    counts = box.requests()["counts"]["mifos"]
    assert counts == {"loans_list": 1, "loan": 1, "client": 1}
    entry = box.requests(log=True)["log"][1]
    assert Decimal(entry["saw"]["net"]) == 20000
