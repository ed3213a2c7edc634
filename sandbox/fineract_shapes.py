"""How Fineract writes loans, clients, statuses and dates (contracts/mifos.md 2.3, 3, 4, 9)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.calls import Json, dump, money
from sandbox.fineract_book import Client, Loan, Tenant, Transaction

STATUSES = {
    0: ("invalid", "Invalid"),
    100: ("submitted.and.pending.approval", "Submitted and pending approval"),
    200: ("approved", "Approved"),
    300: ("active", "Active"),
    303: ("transfer.in.progress", "Transfer in progress"),
    304: ("transfer.on.hold", "Transfer on hold"),
    400: ("withdrawn.by.client", "Withdrawn by applicant"),
    500: ("rejected", "Rejected"),
    600: ("closed.obligations.met", "Closed (obligations met)"),
    601: ("closed.written.off", "Closed (written off)"),
    602: ("closed.reschedule.outstanding.amount", "Closed (rescheduled)"),
    700: ("overpaid", "Overpaid"),
}
LOAN_TYPES = {
    1: ("individual", "Individual"),
    2: ("group", "Group"),
    3: ("jlg", "JLG"),
    4: ("glim", "GLIM"),
    5: ("gsim", "GSIM"),
}
CURRENCIES = {
    "KES": ("Kenyan Shilling", "KSh"),
    "USD": ("US Dollar", "$"),
    "UGX": ("Uganda Shilling", "USh"),
}
OFFICER = "Otieno, Brian"


def status_json(status: int) -> Json:
    code, value = STATUSES[status]
    return {
        "id": status,
        "code": f"loanStatusType.{code}",
        "value": value,
        "pendingApproval": status == 100,
        "waitingForDisbursal": status == 200,
        "active": status == 300,
        "closedObligationsMet": status == 600,
        "closedWrittenOff": status == 601,
        "closedRescheduled": status == 602,
        "closed": status in (600, 601, 602),
        "overpaid": status == 700,
    }


def currency_json(code: str) -> Json:
    name, symbol = CURRENCIES.get(code, (code, code))
    return {
        "code": code,
        "name": name,
        "decimalPlaces": 2,
        "inMultiplesOf": 0,
        "displaySymbol": symbol,
        "nameCode": f"currency.{code}",
        "displayLabel": f"{name} ({symbol})",
    }


def date_json(tenant: Tenant, day: date) -> Any:
    """Return `[y, m, d]`, or ISO text where the tenant's server writes that."""
    return day.isoformat() if tenant.iso_dates else [day.year, day.month, day.day]


def without_nulls(row: Json) -> Json:
    return {name: value for name, value in row.items() if value is not None}


def timeline_json(tenant: Tenant, loan: Loan) -> Json:
    days = {
        "submittedOnDate": loan.submitted_on,
        "approvedOnDate": loan.approved_on,
        "expectedDisbursementDate": loan.expected_disbursement,
        "actualDisbursementDate": loan.actual_disbursement,
    }
    out: Json = {name: date_json(tenant, day) for name, day in days.items() if day is not None}
    out["submittedByUsername"] = "officer1"
    if loan.approved_on is not None:
        out["approvedByUsername"] = "manager1"
    if loan.disbursed_by:
        out["disbursedByUsername"] = loan.disbursed_by
    return out


def loan_json(tenant: Tenant, loan: Loan) -> Json:
    """Return the row that list and detail share; null fields are left out, as Gson does."""
    kind, label = LOAN_TYPES[loan.loan_type]
    row: Json = {
        "id": loan.id,
        "accountNo": f"{loan.id:09d}",
        "externalId": loan.external_id,
        "status": status_json(loan.status),
        **_owner_json(tenant, loan),
        "loanProductId": loan.product_id,
        "loanProductName": tenant.products.get(loan.product_id, f"Product {loan.product_id}"),
        "loanOfficerId": 4,
        "loanOfficerName": OFFICER,
        "loanType": {"id": loan.loan_type, "code": f"accountType.{kind}", "value": label},
        "currency": currency_json(loan.currency),
        **_amounts_json(loan),
        "termFrequency": 6,
        "numberOfRepayments": 6,
        "repaymentEvery": 1,
        "timeline": timeline_json(tenant, loan),
        "loanProductCounter": 1,
        **_flags_json(loan),
    }
    if loan.expected_first_repayment is not None:
        row["expectedFirstRepaymentOnDate"] = date_json(tenant, loan.expected_first_repayment)
    return without_nulls(row)


def _owner_json(tenant: Tenant, loan: Loan) -> Json:
    out: Json = {}
    client = tenant.clients.get(loan.client_id or 0)
    if client is not None:
        out["clientId"] = client.id
        out["clientAccountNo"] = f"{client.id:09d}"
        out["clientName"] = client.name
        out["clientOfficeId"] = client.office_id
    if loan.group_id is not None:
        out["group"] = {
            "id": loan.group_id,
            "accountNo": f"{loan.group_id:09d}",
            "name": tenant.groups.get(loan.group_id, "Umoja Group"),
            "officeId": loan.group_office_id or 2,
        }
    return out


def _amounts_json(loan: Loan) -> Json:
    return {
        "principal": money(loan.principal),
        "approvedPrincipal": money(loan.approved_principal),
        "proposedPrincipal": money(loan.proposed_principal),
        "netDisbursalAmount": None if loan.hide_net else money(loan.net),
        "feeChargesAtDisbursementCharged": money(loan.charges),
        "topupAmount": money(loan.topup_outstanding) if loan.topup_outstanding else None,
    }


def _flags_json(loan: Loan) -> Json:
    return {
        "multiDisburseLoan": loan.multi_disburse,
        "canDisburse": loan.multi_disburse,
        "isTopup": loan.is_topup,
        "closureLoanId": loan.closure_loan_id,  # 0 for "none": contracts/mifos.md 2.3
        "closureLoanAccountNo": f"{loan.closure_loan_id:09d}" if loan.closure_loan_id else None,
        "inArrears": False,
        "isNPA": False,
        "disallowExpectedDisbursements": False,
        "fraud": loan.fraud,
        "chargedOff": loan.charged_off,
        "enableDownPayment": loan.down_payment,
    }


def row_bytes(tenant: Tenant, loan: Loan) -> bytes:
    """Return the list row as JSON, made once per change of the loan."""
    if not loan.row:
        loan.row = dump(loan_json(tenant, loan))
    return loan.row


def charge_json(loan: Loan) -> Json:
    modes = {0: "regular", 1: "accounttransfer"}
    return {
        "id": loan.id * 10 + 1,
        "chargeId": 3,
        "name": "Processing fee",
        "chargeTimeType": {"id": 1, "code": "chargeTimeType.disbursement", "value": "Disbursement"},
        "chargePaymentMode": {
            "id": loan.charge_mode,
            "code": f"chargepaymentmode.{modes[loan.charge_mode]}",
            "value": modes[loan.charge_mode].capitalize(),
        },
        "currency": currency_json(loan.currency),
        "amount": money(loan.charges),
        "amountPaid": money(Decimal(0)),
        "amountOutstanding": money(loan.charges),
        "penalty": False,
        "paid": False,
        "waived": False,
        "chargePayable": False,
    }


def tranche_json(tenant: Tenant, tranche: Json) -> Json:
    out = dict(tranche)
    out["principal"] = money(Decimal(str(tranche["principal"])))
    for name in ("expectedDisbursementDate", "actualDisbursementDate"):
        if out.get(name) is not None:
            out[name] = date_json(tenant, date.fromisoformat(str(out[name])))
    return without_nulls(out)


def transaction_json(tenant: Tenant, loan: Loan, row: Transaction) -> Json:
    """Return one transaction; reversed ones are listed too (contracts/mifos.md 7)."""
    disbursal = row.type_id == 1
    code = "disbursement" if disbursal else "repaymentAtDisbursement"
    value = "Disbursement" if disbursal else "Repayment (at time of disbursement)"
    return without_nulls(
        {
            "id": row.id,
            "loanId": loan.id,
            "officeId": 2,
            "officeName": tenant.office,
            "type": {
                "id": row.type_id,
                "code": f"loanTransactionType.{code}",
                "value": value,
                "disbursement": disbursal,
                "repaymentAtDisbursement": not disbursal,
                "repayment": False,
            },
            "date": date_json(tenant, row.on),
            "currency": currency_json(loan.currency),
            "paymentDetailData": payment_json(tenant, row),
            "amount": money(row.amount),
            "netDisbursalAmount": None if row.net is None else money(row.net),
            "externalId": row.external_id,
            "submittedOnDate": date_json(tenant, row.on),
            "manuallyReversed": row.reversed,
        }
    )


def payment_json(tenant: Tenant, row: Transaction) -> Json | None:
    if row.payment is None:
        return None
    kind = tenant.payment_types[row.payment["paymentTypeId"]]
    strings = ("accountNumber", "checkNumber", "routingCode", "receiptNumber", "bankNumber")
    return {
        "id": row.id + 100_000,
        "paymentType": {"id": kind["id"], "name": kind["name"]},
        **{name: row.payment.get(name) or "" for name in strings},
    }


def client_json(client: Client) -> Json:
    first, _, last = client.name.partition(" ")
    state = ("active", "Active", 300) if client.active else ("closed", "Closed", 600)
    return without_nulls(
        {
            "id": client.id,
            "accountNo": f"{client.id:09d}",
            "externalId": client.external_id,
            "status": {"id": state[2], "code": f"clientStatusType.{state[0]}", "value": state[1]},
            "subStatus": {"active": False, "mandatory": False},
            "active": client.active,
            "activationDate": [2024, 3, 2],
            "firstname": first,
            "lastname": last or first,
            "displayName": client.name,
            "mobileNo": client.mobile_no,
            "isStaff": False,
            "officeId": client.office_id,
            "officeName": "Nairobi",
            "timeline": {"submittedOnDate": [2024, 3, 2], "activatedOnDate": [2024, 3, 2]},
            "legalForm": {"id": 1, "code": "legalFormType.person", "value": "PERSON"},
            "groups": [],
        }
    )
