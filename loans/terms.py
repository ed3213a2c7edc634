"""The columns of a loan that Mifos X decides, and when they differ from what we hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from loans.eligibility import obstacle_of
from loans.models import HoldReason, LoanTracking
from loans.phones import normalise_msisdn
from mifos.client import Client, Loan, LoanDetail, MifosError

CENT = Decimal("0.01")


def columns_of_loan(loan: Loan) -> dict[str, Any]:
    """Return what a list row or a detail of Mifos X says, as columns of ours."""
    return {
        "account_number": loan.account_number[:50],
        "client_id": loan.client_id,
        "client_name": loan.client_name[:200],
        "product_id": loan.product_id,
        "product_name": loan.product_name[:200],
        "loan_amount": loan.principal.quantize(CENT),
        "net_disbursal_amount": _exact(loan.net_disbursal_amount),
        "currency": loan.currency[:3],
        "approved_on": loan.approved_on,
        "expected_disbursement_date": loan.expected_disbursement_date,
        "mifos_obstacle": _obstacle(loan),
    }


def columns_of_client(client: Client | MifosError | None) -> dict[str, Any]:
    """Return the phone number as M-Pesa wants it, or as Mifos X has it when it is not one."""
    if not isinstance(client, Client):
        return {"phone_number": ""}
    phone = normalise_msisdn(client.mobile_number) or client.mobile_number[:50]
    return {"phone_number": phone, "client_name": client.display_name[:200]}


def terms_differ(row: LoanTracking, loan: Loan) -> bool:
    """Does the list show other terms than we hold? The client record's name wins over its."""
    columns = columns_of_loan(loan)
    columns.pop("client_name")
    if not isinstance(loan, LoanDetail):
        # The list cannot see what only the detail shows, so it may not clear such an obstacle.
        columns["mifos_obstacle"] = columns["mifos_obstacle"] or row.mifos_obstacle
    return any(getattr(row, name) != value for name, value in columns.items())


def changed_terms(row: LoanTracking, columns: dict[str, Any]) -> dict[str, Any]:
    """Return only the columns that would change."""
    return {name: value for name, value in columns.items() if getattr(row, name) != value}


def _obstacle(loan: Loan) -> str:
    if loan.principal != loan.principal.quantize(CENT):
        return HoldReason.CENTS
    return obstacle_of(loan) or ""


def _exact(amount: Decimal | None) -> Decimal | None:
    """Keep whole cents. An amount with finer parts is unknown to us: it is never rounded."""
    if amount is None or amount != amount.quantize(CENT):
        return None
    return amount.quantize(CENT)
