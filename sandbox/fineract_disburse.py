"""POST /loans/{id}?command=disburse with the checks of contracts/mifos.md 5.2, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.calls import Json
from sandbox.fineract_book import Loan, Tenant, Transaction
from sandbox.fineract_dates import read_amount, read_date
from sandbox.fineract_errors import domain, error_row, invalid, not_found
from sandbox.fineract_loans import Visit
from sandbox.fineract_shapes import status_json

PAYMENT_STRINGS = ("accountNumber", "checkNumber", "routingCode", "receiptNumber", "bankNumber")
DISBURSE_KEYS = {
    "actualDisbursementDate",
    "dateFormat",
    "locale",
    "transactionAmount",
    "netDisbursalAmount",
    "fixedEmiAmount",
    "paymentTypeId",
    *PAYMENT_STRINGS,
    "externalId",
    "note",
    "adjustRepaymentDate",
    "postDatedChecks",
}
SAVINGS_KEYS = DISBURSE_KEYS - {"paymentTypeId", *PAYMENT_STRINGS, "postDatedChecks"}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
STATE_CODE = "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state"
STATE_TEXT = (
    "Loan Disbursal is not allowed. Loan Account is not in approved and not disbursed state."
)


@dataclass(slots=True)
class Disbursal:
    """What the body asks for, once its shapes are right."""

    body: Json
    on: date
    amount: Decimal | None
    payment: Json | None


def disburse(visit: Visit, loan: Loan, body: Json) -> Json:
    """Check, book and answer one disbursal. Raises FineractError; nothing is booked then."""
    savings = visit.call.query.get("command") == "disburseToSavings"
    asked = read_body(visit.tenant, body, savings=savings)
    _check_people(visit.tenant, loan)
    _check_before_state(visit.tenant, loan, asked)
    collected = _state_problem(loan)
    _check_dates(visit.tenant, loan, asked)
    if collected:  # collected, thrown at the end: contracts/mifos.md 5.2 row 7
        raise invalid([error_row(STATE_CODE, STATE_TEXT)])
    _check_amount(visit.tenant, loan, asked)
    _check_deep(visit.tenant, loan, asked)
    if savings and not loan.linked_savings:
        code = "error.msg.loan.disburse.to.savings.requires.linked.account"
        raise domain(code, "Disburse to savings requires a linked savings account.", loan.id)
    _check_external_id(visit.tenant, asked)
    return _book(visit, loan, asked)


def read_body(tenant: Tenant, body: Json, *, savings: bool = False) -> Disbursal:
    """Rows 1 and 2: unknown keys, then the shape of every field."""
    keys = SAVINGS_KEYS if savings else DISBURSE_KEYS
    unknown = [name for name in body if name not in keys]
    if unknown:
        raise invalid([_unsupported(name) for name in unknown])
    rows = _shape_rows(body)
    if rows:
        raise invalid(rows)
    return Disbursal(body, _date_of(body), _amount_of(body), _payment_of(tenant, body))


def _unsupported(name: str) -> Json:
    return error_row(
        "error.msg.parameter.unsupported", f"The parameter {name} is not supported.", name
    )


def _shape_rows(body: Json) -> list[Json]:
    rows: list[Json] = []
    if not body.get("actualDisbursementDate"):
        rows.append(_field_row("actualDisbursementDate", "cannot.be.blank", "is mandatory."))
    for name in ("dateFormat", "locale"):
        if not body.get(name):
            text = f"The parameter `{name}` is required."
            rows.append(error_row(f"validation.msg.missing.{name}.parameter", text, name))
    for name, most in (
        *((name, 50) for name in PAYMENT_STRINGS),
        ("externalId", 100),
        ("note", 1000),
    ):
        if len(str(body.get(name) or "")) > most:
            rows.append(_field_row(name, "exceeds.max.length", f"exceeds max length of {most}."))
    kind = body.get("paymentTypeId")
    if kind is not None and (not str(kind).isdigit() or int(kind) <= 0):
        rows.append(_field_row("paymentTypeId", "not.greater.than.zero", "must be above zero."))
    return rows


def _field_row(name: str, problem: str, text: str) -> Json:
    code = f"validation.msg.loan.disbursement.{name}.{problem}"
    return error_row(code, f"The parameter `{name}` {text}", name)


def _date_of(body: Json) -> date:
    text = str(body["actualDisbursementDate"])
    try:
        return read_date(text, str(body["dateFormat"]), str(body["locale"]))
    except ValueError as exc:
        name = "actualDisbursementDate"
        message = (
            f"The parameter `{name}` is invalid based on the dateFormat: `{body['dateFormat']}` "
            f"and locale: `{body['locale']}` provided:"
        )
        row = error_row("validation.msg.invalid.date.format", message, name, (text,))
        raise invalid([row]) from exc


def _amount_of(body: Json) -> Decimal | None:
    if body.get("transactionAmount") is None:
        return None
    try:
        amount = read_amount(body["transactionAmount"], str(body["locale"]))
    except (ValueError, ArithmeticError) as exc:
        text = "is not a number."
        raise invalid([_field_row("transactionAmount", "invalid.decimal.format", text)]) from exc
    if amount <= 0:
        text = "must be greater than 0."
        raise invalid([_field_row("transactionAmount", "not.greater.than.zero", text)])
    return amount


def _payment_of(tenant: Tenant, body: Json) -> Json | None:
    """Without paymentTypeId all five strings are dropped in silence (contracts/mifos.md 5.1)."""
    kind = body.get("paymentTypeId")
    if kind is None:
        return None
    if int(kind) not in tenant.payment_types:
        text = f"Payment Type with identifier {kind} does not exist"
        raise not_found("error.msg.payment.type.invalid", text, kind)
    return {"paymentTypeId": int(kind), **{name: body.get(name) for name in PAYMENT_STRINGS}}


def _check_people(tenant: Tenant, loan: Loan) -> None:
    client = tenant.clients.get(loan.client_id or 0)
    if client is not None and not client.active:
        text = f"The Client with id `{client.id}` is not active"
        raise domain("error.msg.client.not.active.exception", text, client.id)


def _check_before_state(tenant: Tenant, loan: Loan, asked: Disbursal) -> None:
    """Row 5 (2026 only) and row 6: both come before the state of the loan is looked at."""
    disbursed = sum(
        (
            row.net or row.amount
            for row in loan.transactions
            if row.type_id == 1 and not row.reversed
        ),
        Decimal(0),
    )
    over = asked.amount is not None and disbursed + asked.amount > loan.approved_principal
    if tenant.era == "2026" and over and asked.amount is not None:
        raise domain(
            "error.msg.loan.disburse.amount.must.be.less.than.approved.principal",
            "Loan can't be disbursed, disburse amount is exceeding approved principal.",
            disbursed + asked.amount,
            loan.approved_principal,
        )
    if loan.charged_off:
        code = (
            "error.msg.loan.disbursal.not.allowed.on.charged.off"
            if tenant.era == "2026"
            else "error.msg.transaction.date.cannot.be.earlier.than.charge.off.date"
        )
        raise domain(code, "Loan disbursal is not allowed on a charged-off loan.", loan.id)


def _state_problem(loan: Loan) -> bool:
    if loan.multi_disburse and loan.status in (200, 300):
        return not any(row.get("actualDisbursementDate") is None for row in loan.tranches)
    return loan.status != 200 or loan.actual_disbursement is not None


def _check_dates(tenant: Tenant, loan: Loan, asked: Disbursal) -> None:
    """Rows 9, 12 and 14."""
    expected = loan.expected_disbursement or asked.on
    if tenant.sync_expected_date and asked.on != expected:
        raise domain(
            "error.msg.actual.disbursement.date.does.not.match.with.expected.disbursal.date",
            "Actual disbursement date does not match with expected disbursement date.",
            asked.on,
            expected,
        )
    # Fineract tests the expected date until an actual one is set: contracts/mifos.md 5.2 row 12.
    tested = loan.actual_disbursement or expected
    if not tenant.allow_on_non_working_day and DAYS[tested.weekday()] not in tenant.working_days:
        raise _date_refusal("on.non.working.day", "on a non working day", tested)
    if not tenant.allow_on_holiday and _is_holiday(tenant, tested):
        raise _date_refusal("on.holiday", "on a holiday", tested)
    if loan.approved_on is not None and asked.on < loan.approved_on:
        text = (
            "The date on which a loan is disbursed cannot be before its approval date: "
            f"{loan.approved_on}"
        )
        code = "error.msg.loan.disbursal.cannot.be.before.approval.date"
        raise domain(code, text, asked.on, loan.approved_on)


def _date_refusal(code: str, text: str, day: date) -> Exception:
    return domain(
        f"error.msg.loan.application.disbursement.date.{code}",
        f"Expected disbursement date cannot be {text}",
        day,
    )


def _is_holiday(tenant: Tenant, day: date) -> bool:
    return any(row["from"] <= day.isoformat() <= row["to"] for row in tenant.holidays)


def _check_amount(tenant: Tenant, loan: Loan, asked: Disbursal) -> None:
    """Row 15, then row 16 for top-ups."""
    if asked.amount is not None and asked.amount > loan.approved_principal:
        kind = "principal" if loan.multi_disburse else "amount"
        raise domain(
            f"error.msg.loan.disburse.amount.must.be.less.than.approved.{kind}",
            f"Loan can't be disbursed,disburse amount is exceeding approved {kind} ",
            asked.amount,
            loan.approved_principal,
        )
    if loan.is_topup:
        _check_topup(tenant, loan, asked.amount or loan.principal)


def _check_topup(tenant: Tenant, loan: Loan, amount: Decimal) -> None:
    closing = tenant.loans.get(loan.closure_loan_id)
    if closing is not None and closing.status != 300:
        raise domain(
            "error.msg.loan.to.be.closed.with.topup.is.not.active",
            "Loan to be closed with this topup is not active.",
            closing.id,
        )
    if loan.topup_outstanding is not None and amount < loan.topup_outstanding:
        raise domain(
            "error.msg.loan.amount.less.than.outstanding.of.loan.to.be.closed",
            "Topup loan amount should be greater than outstanding amount of loan to be closed.",
            loan.id,
        )


def _check_deep(tenant: Tenant, loan: Loan, asked: Disbursal) -> None:
    """Rows 18 to 22: deep in the transaction, and rolled back."""
    first = loan.expected_first_repayment
    if first is not None and asked.on > first:
        raise domain(
            "error.msg.loan.disbursal.cannot.be.after.expected.first.repayment.date",
            "The date on which a loan is disbursed cannot be after expected first repayment date",
            asked.on,
            first,
        )
    if asked.on > tenant.today():
        text = (
            f"The date on which a loan with identifier : {loan.id:09d} is disbursed "
            "cannot be in the future."
        )
        raise domain("error.msg.loan.disbursal.cannot.be.a.future.date", text, asked.on)
    client = tenant.clients.get(loan.client_id or 0)
    if client is not None and client.transferred_on and asked.on < client.transferred_on:
        code = "error.msg.loan.disbursal.cannot.be.before.client.transfer.date"
        raise domain(code, "Disbursal cannot be before the client's transfer date.", asked.on)
    if loan.charge_mode == 1 and not loan.linked_savings:
        code = "error.msg.loan.disburse.charge.requires.linked.account"
        raise domain(code, "Disburse with charges requires a linked account.", loan.id)
    closed = tenant.accounting_closed_until
    if closed is not None and asked.on <= closed:
        code = "error.msg.glJournalEntry.invalid.accounting.closed"
        raise domain(
            code, "Journal entry cannot be made prior to last account closing date", closed
        )


def _check_external_id(tenant: Tenant, asked: Disbursal) -> None:
    """Row 22a: unique over all loan transactions; the code depends on the era."""
    external_id = asked.body.get("externalId")
    if not external_id or external_id not in tenant.external_ids:
        return
    if tenant.era == "2026":
        code = "error.msg.unknown.data.integrity.issue"
        raise domain(code, "Unknown data integrity issue with resource.", parameter="externalId")
    code = "validation.msg.loan.transaction.externalId.value.must.be.unique"
    text = f"Transaction with externalId {external_id} already exists."
    raise invalid([error_row(code, text, "externalId")])


def _book(visit: Visit, loan: Loan, asked: Disbursal) -> Json:
    gross = _gross(loan, asked)
    row = _add_transaction(visit, loan, 1, gross, asked)
    last = row
    if loan.charges:
        last = _add_transaction(visit, loan, 5, loan.charges, asked)
    loan.status = loan.status_after
    loan.actual_disbursement = asked.on
    loan.disbursed_by = visit.user.name
    loan.changed("disbursed", visit.user.name, visit.call.at)
    return _success(visit.tenant, loan, asked, row, last)


def _gross(loan: Loan, asked: Disbursal) -> Decimal:
    """A smaller amount lowers the principal of a single-disburse loan (contracts/mifos.md 5.1)."""
    if loan.multi_disburse:
        tranche = next(row for row in loan.tranches if row.get("actualDisbursementDate") is None)
        tranche["actualDisbursementDate"] = asked.on.isoformat()
        return asked.amount or Decimal(str(tranche["principal"]))
    if asked.amount is not None:
        loan.principal = asked.amount
    return loan.principal - (loan.topup_outstanding or 0)


def _add_transaction(
    visit: Visit, loan: Loan, type_id: int, amount: Decimal, asked: Disbursal
) -> Transaction:
    main = type_id == 1
    row = Transaction(
        id=visit.tenant.new_id(),
        loan_id=loan.id,
        type_id=type_id,
        amount=amount,
        on=asked.on,
        by=visit.user.name,
        at=visit.call.at,
        external_id=(asked.body.get("externalId") or None) if main else None,
        payment=asked.payment if main else None,
        net=amount - loan.charges if main else None,
    )
    loan.transactions.append(row)
    if row.external_id:
        visit.tenant.external_ids[row.external_id] = row
    return row


def _success(
    tenant: Tenant, loan: Loan, asked: Disbursal, row: Transaction, last: Transaction
) -> Json:
    kept = ("locale", "dateFormat", "actualDisbursementDate", "note")
    changes: dict[str, Any] = (
        {}
        if asked.payment is None
        else {name: value for name, value in asked.payment.items() if value is not None}
    )
    changes.update({name: asked.body[name] for name in kept if name in asked.body})
    changes["status"] = status_json(loan.status)
    out: Json = {
        "officeId": 2,
        "clientId": loan.client_id,
        "loanId": loan.id,
        "resourceId": loan.id,
    }
    if loan.group_id is not None:
        out["groupId"] = loan.group_id
    out["changes"] = changes
    if tenant.era == "1.8":
        out["resourceId"] = last.id  # the LAST transaction: contracts/mifos.md 0
        return out
    if loan.external_id:
        out["resourceExternalId"] = loan.external_id
    out["subResourceId"] = row.id
    if row.external_id:
        out["subResourceExternalId"] = row.external_id
    return out
