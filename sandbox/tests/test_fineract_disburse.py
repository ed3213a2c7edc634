"""The disburse command: checks, bookings, keys, checkers, hooks (contracts/mifos.md 5, 6, 8)."""

from __future__ import annotations

import pytest

from sandbox.tests.conftest import SHAPES, assert_shaped


@pytest.fixture
def loan(box):
    return box.add_loans(
        "umoja",
        [
            {
                "id": 3198,
                "client_id": 2,
                "product_id": 5,
                "charges": 600,
                "external_id": "APP-2025-3198",
            }
        ],
    )[0]


PAYMENT = {
    "transactionAmount": 20000,
    "paymentTypeId": 7,
    "receiptNumber": "TJN7RT61SV",
    "accountNumber": "254712345678",
    "routingCode": "AG_1",
    "externalId": "lp:1",
    "note": "M-Pesa",
}


def code_of(answer):
    return answer.json()["errors"][0]["userMessageGlobalisationCode"]


def test_a_disbursal_is_booked_with_its_proof(box, mifos, loan):
    answer = mifos.disburse(loan, **PAYMENT)
    assert answer.status_code == 200
    assert_shaped(answer.json(), SHAPES["disburse_success_1_9_plus"])
    assert answer.json()["changes"]["status"]["id"] == 300
    proof = mifos.get(f"loans/{loan}/transactions/external-id/lp:1").json()
    assert proof["paymentDetailData"]["receiptNumber"] == "TJN7RT61SV"
    detail = mifos.get(f"loans/{loan}", associations="transactions").json()
    example = SHAPES["loan_detail_active_with_our_transaction"]["transactions"]
    assert_shaped(detail["transactions"][0], example[0])
    assert [row["type"]["id"] for row in detail["transactions"]] == [1, 5]
    assert box.book()["transactions"][0]["by"] == "svc"


def test_before_1_9_the_resource_is_the_last_transaction_and_there_is_no_proof_by_id(
    box, mifos, loan
):
    box.change_tenant("umoja", era="1.8")
    body = mifos.disburse(loan, **PAYMENT).json()
    assert_shaped(body, SHAPES["disburse_success_1_8_x"])
    assert body["resourceId"] == box.book()["transactions"][0]["id"] + 1
    proof = mifos.get(f"loans/{loan}/transactions/external-id/lp:1")
    assert proof.status_code == 404
    assert "json" not in proof.headers["Content-Type"]


def test_without_a_payment_type_the_receipt_is_dropped(box, mifos, loan):
    mifos.disburse(loan, **{**PAYMENT, "paymentTypeId": None})
    assert box.book()["transactions"][0]["receipt"] is None


def test_a_smaller_amount_lowers_the_principal(box, mifos, loan):
    mifos.disburse(loan, transactionAmount=19400)
    assert box.loan("umoja", loan)["principal"] == "19400.00"


REFUSALS = [
    ({}, {}, {"mpesaReceipt": "X"}, 400, "error.msg.parameter.unsupported"),
    (
        {},
        {},
        {"actualDisbursementDate": None},
        400,
        "validation.msg.loan.disbursement.actualDisbursementDate.cannot.be.blank",
    ),
    ({}, {}, {"dateFormat": "yyyy-MM-dd"}, 400, "validation.msg.invalid.date.format"),
    (
        {},
        {},
        {"receiptNumber": "x" * 51},
        400,
        "validation.msg.loan.disbursement.receiptNumber.exceeds.max.length",
    ),
    (
        {},
        {},
        {"transactionAmount": 0},
        400,
        "validation.msg.loan.disbursement.transactionAmount.not.greater.than.zero",
    ),
    ({}, {}, {"paymentTypeId": 99}, 404, "error.msg.payment.type.invalid"),
    (
        {},
        {},
        {"transactionAmount": 20001},
        403,
        "error.msg.loan.disburse.amount.must.be.less.than.approved.amount",
    ),
    (
        {"status": 300},
        {},
        {},
        400,
        "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state",
    ),
    ({"approved_on": 1}, {}, {}, 403, "error.msg.loan.disbursal.cannot.be.before.approval.date"),
    (
        {"expected_first_repayment": -1},
        {},
        {},
        403,
        "error.msg.loan.disbursal.cannot.be.after.expected.first.repayment.date",
    ),
    (
        {"charged_off": True},
        {},
        {},
        403,
        "error.msg.transaction.date.cannot.be.earlier.than.charge.off.date",
    ),
    ({"charge_mode": 1}, {}, {}, 403, "error.msg.loan.disburse.charge.requires.linked.account"),
    ({"locked_by_cob": True}, {}, {}, 409, None),
    (
        {},
        {"holidays": [{"from": 0}]},
        {},
        403,
        "error.msg.loan.application.disbursement.date.on.holiday",
    ),
    (
        {},
        {"working_days": ""},
        {},
        403,
        "error.msg.loan.application.disbursement.date.on.non.working.day",
    ),
    ({}, {"business_date": -1}, {}, 403, "error.msg.loan.disbursal.cannot.be.a.future.date"),
    (
        {},
        {"accounting_closed_until": 0},
        {},
        403,
        "error.msg.glJournalEntry.invalid.accounting.closed",
    ),
    ({}, {"permissions": ["READ_LOAN"]}, {}, 403, "error.msg.not.authorized"),
]


@pytest.mark.parametrize(("loan_changes", "tenant_changes", "body", "status", "code"), REFUSALS)
def test_what_fineract_refuses_is_refused_with_its_code(
    box, mifos, loan, loan_changes, tenant_changes, body, status, code
):
    if loan_changes:
        box.change_loan("umoja", loan, **loan_changes)
    if tenant_changes:
        box.change_tenant("umoja", **tenant_changes)
    answer = mifos.disburse(loan, **{**PAYMENT, **body})
    assert answer.status_code == status
    assert answer.json()["httpStatusCode"] == str(status)
    if code:
        assert code_of(answer) == code
    assert box.book()["transactions"] == []


def test_an_inactive_client_is_refused_and_its_loan_stays(box, mifos, loan):
    box.change_client("umoja", 2, active=False)
    assert code_of(mifos.disburse(loan, **PAYMENT)) == "error.msg.client.not.active.exception"


def test_a_disbursed_loan_is_400_or_403_by_era(box, mifos, loan):
    mifos.disburse(loan, **PAYMENT)
    again = mifos.disburse(loan, **{**PAYMENT, "externalId": "lp:2"})
    assert (again.status_code, again.json()) == (400, SHAPES["error_already_disbursed_single"])
    box.change_tenant("umoja", era="2026")
    again = mifos.disburse(loan, **{**PAYMENT, "externalId": "lp:2"})
    assert again.status_code == 403
    assert [row["value"] for row in again.json()["errors"][0]["args"]] == [39400, 20000]


@pytest.mark.parametrize(("era", "status"), [("1.8", 400), ("1.10", 400), ("2026", 403)])
def test_an_external_id_is_unique_over_all_loans(box, mifos, loan, era, status):
    box.change_tenant("umoja", era=era)
    other = box.add_loans("umoja", [{"client_id": 2}])[0]
    mifos.disburse(loan, **PAYMENT)
    assert mifos.disburse(other, **PAYMENT).status_code == status


def test_the_lock_and_the_conflict_have_the_contract_bodies(box, mifos, loan):
    box.change_loan("umoja", loan, locked_by_cob=True)
    assert mifos.disburse(loan, **PAYMENT).json() == SHAPES["error_loan_locked_by_cob"]
    box.add_fault("disburse", "409")
    assert mifos.disburse(loan, **PAYMENT).json() == SHAPES["error_conflict"]


def test_undoing_brings_the_loan_back_with_its_reversed_transaction(box, mifos, loan):
    mifos.disburse(loan, **PAYMENT)
    box.command("umoja", loan, "undodisbursal")
    body = mifos.get(f"loans/{loan}", associations="transactions").json()
    assert body["status"]["id"] == 200
    assert {row["manuallyReversed"] for row in body["transactions"]} == {True}


# keys


def test_a_key_replays_its_success_and_says_so(box, mifos, loan):
    first = mifos.disburse(loan, key="k", **PAYMENT)
    second = mifos.disburse(loan, key="k", **PAYMENT)
    assert (second.status_code, second.text) == (200, first.text)
    assert second.headers["x-served-from-cache"] == "true"
    assert len(box.book()["transactions"]) == 1


def test_a_key_replays_its_error_for_ever(box, mifos, loan):
    box.change_client("umoja", 2, active=False)
    mifos.disburse(loan, key="k", **PAYMENT)
    box.change_client("umoja", 2, active=True)
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 403
    assert mifos.disburse(loan, key="k2", **PAYMENT).status_code == 200


def test_a_key_shared_by_two_loans_disburses_only_the_first(box, mifos, loan):
    other = box.add_loans("umoja", [{"client_id": 2}])[0]
    mifos.disburse(loan, key="k", **PAYMENT)
    answer = mifos.disburse(other, key="k", **{**PAYMENT, "externalId": "lp:2"})
    assert answer.json()["loanId"] == loan
    assert box.loan("umoja", other)["status"] == 200


def test_1_8_ignores_the_key(box, mifos, loan):
    box.change_tenant("umoja", era="1.8")
    mifos.disburse(loan, key="k", **PAYMENT)
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 400


def test_a_command_in_flight_answers_425_with_the_request_until_it_lands(box, mifos, loan):
    box.add_fault("disburse", "504_late")
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 504
    again = mifos.disburse(loan, key="k", **PAYMENT)
    assert again.status_code == 425
    assert again.json()["receiptNumber"] == "TJN7RT61SV"
    assert box.loan("umoja", loan)["status"] == 200
    box.release_effects()
    assert box.loan("umoja", loan)["status"] == 300
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 200


def test_a_server_that_died_in_the_middle_keeps_425_for_ever(box, mifos, loan):
    box.add_fault("disburse", "502_before", seen=True)
    mifos.disburse(loan, key="k", **PAYMENT)
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 425
    assert box.book()["transactions"] == []


# checkers and hooks


def test_maker_checker_answers_200_and_disburses_nothing_until_approved(box, mifos, loan):
    box.change_tenant("umoja", maker_checker=True)
    answer = mifos.disburse(loan, key="k", **PAYMENT)
    assert answer.status_code == 200
    assert_shaped(answer.json(), SHAPES["disburse_maker_checker_pending"])
    assert box.loan("umoja", loan)["status"] == 200
    assert box.book()["transactions"] == []
    assert mifos.disburse(loan, key="k", **PAYMENT).status_code == 425
    number = answer.json()["commandId"]
    assert mifos.get(f"audits/{number}").json()["processingResult"] == "awaiting.approval"
    box.decide("umoja", number, "approve")
    assert box.book()["transactions"][0]["external_id"] == "lp:1"
    assert mifos.get(f"audits/{number}").json()["processingResult"] == "processed"


def test_a_rejected_command_leaves_the_loan_waiting(box, mifos, loan):
    box.change_tenant("umoja", maker_checker=True)
    number = mifos.disburse(loan, **PAYMENT).json()["commandId"]
    box.decide("umoja", number, "reject")
    assert box.loan("umoja", loan)["status"] == 200
    assert mifos.get(f"audits/{number}").json()["processingResult"] == "rejected"


def hook(mifos, inbox):
    body = {
        "name": "Web",
        "isActive": True,
        "displayName": "x",
        "events": [{"actionName": "APPROVE", "entityName": "LOAN"}],
        "config": {"Payload URL": f"{inbox.url}/hook/", "Content Type": "json"},
    }
    mifos.auth = ("officer", "officer-password")
    assert mifos.call("POST", "hooks", json=body).status_code == 200


def test_an_approval_fires_a_hook_without_a_signature(box, mifos, inbox):
    hook(mifos, inbox)
    loan = box.add_loans("umoja", [{"client_id": 2, "status": 100}])[0]
    box.command("umoja", loan, "approve")
    body = inbox.wait("/hook/")[0]
    assert body["response"]["loanId"] == loan
    assert body["response"]["changes"]["status"]["id"] == 200
    headers = inbox.mail[0][2]
    assert headers["X-Fineract-Action"] == "APPROVE"
    assert headers["Fineract-Platform-TenantId"] == "umoja"


def test_a_failed_approval_fires_the_hook_too(box, mifos, inbox, loan):
    hook(mifos, inbox)
    box.command("umoja", loan, "approve")  # it is approved already
    body = inbox.wait("/hook/")[0]
    assert body["status"] == "Exception"
    assert_shaped(body["response"], SHAPES["hook_loan_approve_FAILED"]["response"])
