"""Commands on a loan, over the wire or by hand, and maker-checker (contracts/mifos.md 5.3, 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from sandbox.calls import Answer, Json, answer
from sandbox.fineract_book import Command, Loan, Tenant
from sandbox.fineract_dates import read_amount, read_date
from sandbox.fineract_disburse import STATE_CODE, STATE_TEXT, disburse, read_body
from sandbox.fineract_errors import (
    FineractError,
    container_page,
    domain,
    error_row,
    invalid,
    locked_by_cob,
    no_authority,
    not_found,
)
from sandbox.fineract_loans import Visit, find_loan
from sandbox.fineract_shapes import date_json, status_json
from sandbox.idempotency import once, slot_of

# command -> (task name, hook action); tasks are action_entity (contracts/mifos.md 1, 8)
COMMANDS = {
    "approve": ("APPROVE_LOAN", "APPROVE"),
    "undoapproval": ("APPROVALUNDO_LOAN", "APPROVALUNDO"),
    "reject": ("REJECT_LOAN", "REJECT"),
    "withdrawnByApplicant": ("WITHDRAW_LOAN", "WITHDRAW"),
    "disburse": ("DISBURSE_LOAN", "DISBURSE"),
    "disburseToSavings": ("DISBURSETOSAVINGS_LOAN", "DISBURSETOSAVINGS"),
    "undodisbursal": ("DISBURSALUNDO_LOAN", "DISBURSALUNDO"),
}


def loan_command(visit: Visit, loan_id: str) -> Answer:
    """Answer POST /loans/{id}?command=…; what happens before `once` leaves no stored row."""
    name = visit.call.query.get("command", "")
    if name not in COMMANDS:
        row = error_row("error.msg.command.unsupported", f"Unsupported command {name}", "command")
        raise invalid([row])
    task, action = COMMANDS[name]
    if not visit.user.may(task):
        raise no_authority(task)
    found = visit.tenant.loans.get(int(loan_id)) if loan_id.isdigit() else None
    if found is not None and found.locked_by_cob:
        raise locked_by_cob(found.id)
    slot = slot_of(visit.tenant, visit.call, action, "LOAN")
    return once(visit.tenant, slot, visit.call, lambda: _run(visit, name, loan_id))


def _run(visit: Visit, name: str, loan_id: str) -> Answer:
    try:
        body = visit.call.json
        truth = visit.call.truth
        if truth is not None and truth.effect == "refuses":
            raise domain(truth.code or "error.msg.sandbox.refused", "Refused by the sandbox.")
        if visit.tenant.maker_checker and name in ("disburse", "disburseToSavings"):
            return await_checker(visit, name, find_loan(visit.tenant, loan_id), body)
        return answer(run_command(visit, name, loan_id, body))
    except FineractError as refused:
        return refused.reply


def run_command(visit: Visit, name: str, loan_id: str, body: Json) -> Json:
    """Run one command on one loan. Raises FineractError."""
    if name.startswith("disburse"):
        read_body(visit.tenant, body, savings=name == "disburseToSavings")  # rows 1-2 precede row 3
        return disburse(visit, find_loan(visit.tenant, loan_id), body)
    return RUN[name](visit, find_loan(visit.tenant, loan_id), body)


def await_checker(visit: Visit, name: str, loan: Loan, body: Json) -> Answer:
    """Try the command, roll it back and answer 200 without `changes` (contracts/mifos.md 5.3)."""
    tried = _copy_for_trial(visit.tenant, loan)
    next_id = visit.tenant.next_id
    try:
        run_command(visit, name, str(loan.id), body)
    finally:
        _roll_back(visit.tenant, tried)
        visit.tenant.next_id = next_id
    command = Command(
        visit.tenant.new_id(), "DISBURSE", loan.id, body, visit.user.name, visit.call.at
    )
    command.slot = slot_of(visit.tenant, visit.call, COMMANDS[name][1], "LOAN")
    visit.tenant.commands[command.id] = command
    reply: Json = {"commandId": command.id, "rollbackTransaction": True}
    if visit.tenant.maker_checker_resource_id:
        reply["resourceId"] = loan.id
    return answer(reply)


def _copy_for_trial(tenant: Tenant, loan: Loan) -> Loan:
    """Put a copy of the loan in the book, so that a trial can be rolled back."""
    names = [name for name in Loan.__slots__ if name not in ("transactions", "history", "tranches")]
    twin = Loan(**{name: getattr(loan, name) for name in names})
    twin.transactions = list(loan.transactions)
    twin.tranches = [dict(row) for row in loan.tranches]
    tenant.loans[loan.id] = twin
    return loan


def _roll_back(tenant: Tenant, loan: Loan) -> None:
    for row in tenant.loans[loan.id].transactions[len(loan.transactions) :]:
        tenant.external_ids.pop(row.external_id or "", None)
    tenant.loans[loan.id] = loan


def decide_command(visit: Visit, command_id: str) -> Answer:
    """Answer POST /makercheckers/{id}?command=approve|reject."""
    command = visit.tenant.commands.get(int(command_id)) if command_id.isdigit() else None
    if command is None or command.result != "awaiting.approval":
        text = f"Command with identifier {command_id} does not exist"
        raise not_found("error.msg.command.id.invalid", text, command_id)
    if not visit.user.may("DISBURSE_LOAN_CHECKER"):
        raise no_authority("DISBURSE_LOAN_CHECKER")
    verdict = visit.call.query.get("command", "")
    if verdict not in ("approve", "reject"):
        raise container_page(400, "Bad Request")
    reply: Json = {"commandId": command.id}
    if verdict == "approve":
        maker = visit.tenant.users.get(command.maker, visit.user)
        as_maker = Visit(visit.tenant, maker, visit.call)
        reply |= disburse(as_maker, find_loan(visit.tenant, str(command.loan_id)), command.body)
    command.result = "processed" if verdict == "approve" else "rejected"
    command.checker, command.checked_at = visit.user.name, visit.call.at
    if command.slot in visit.tenant.keys and verdict == "approve":
        visit.tenant.keys[command.slot].reply = answer(reply)
    return answer(reply)


def delete_command(visit: Visit, command_id: str) -> Answer:
    """A checker may delete a waiting command: it is gone without a trace of a decision."""
    command = visit.tenant.commands.get(int(command_id)) if command_id.isdigit() else None
    if command is None or command.result != "awaiting.approval":
        raise not_found("error.msg.command.id.invalid", "Command does not exist", command_id)
    del visit.tenant.commands[command.id]
    return answer({"commandId": command.id})


def audit_json(tenant: Tenant, command: Command) -> Json:
    loan = tenant.loans.get(command.loan_id)
    row: Json = {
        "id": command.id,
        "actionName": command.action,
        "entityName": "LOAN",
        "resourceId": command.loan_id,
        "loanId": command.loan_id,
        "maker": command.maker,
        "madeOnDate": int(command.at * 1000),
        "processingResult": command.result,
        "officeName": tenant.office,
        "url": f"/loans/{command.loan_id}?command=disburse",
    }
    if loan is not None and loan.client_id in tenant.clients:
        row["clientName"] = tenant.clients[loan.client_id].name
        row["clientId"] = loan.client_id
    if command.checker is not None and command.checked_at is not None:
        row["checker"] = command.checker
        row["checkedOnDate"] = int(command.checked_at * 1000)
    return row


def _approve(visit: Visit, loan: Loan, body: Json) -> Json:
    tenant = visit.tenant
    if loan.status != 100:
        code = "error.msg.loan.approve.account.is.not.submitted.and.pending.state"
        text = (
            "Loan Account Approval is not allowed. Loan Account is not in submitted and pending "
            "approval state."
        )
        raise invalid([error_row(code, text)])
    loan.approved_on = _body_date(tenant, body, "approvedOnDate") or tenant.today()
    loan.expected_disbursement = (
        _body_date(tenant, body, "expectedDisbursementDate") or loan.expected_disbursement
    )
    if body.get("approvedLoanAmount") is not None:
        amount = read_amount(body["approvedLoanAmount"], str(body.get("locale", "en")))
        loan.approved_principal = loan.principal = amount
    changes: Json = {"approvedOnDate": body.get("approvedOnDate"), "expectedDisbursementDate": {}}
    if loan.expected_disbursement is not None and not tenant.iso_dates:
        changes["expectedDisbursementDate"] = date_json(tenant, loan.expected_disbursement)
    return _moved(visit, loan, 200, "approved", changes)


def _body_date(tenant: Tenant, body: Json, name: str) -> date | None:
    if not body.get(name):
        return None
    pattern, locale = str(body.get("dateFormat", "dd MMMM yyyy")), str(body.get("locale", "en"))
    try:
        return read_date(str(body[name]), pattern, locale)
    except ValueError as exc:
        raise invalid([error_row("validation.msg.invalid.date.format", str(exc), name)]) from exc


def _undo_approval(visit: Visit, loan: Loan, body: Json) -> Json:
    if loan.status != 200:
        code = "error.msg.loan.undo.approval.account.is.not.approved"
        raise invalid([error_row(code, "Undo approval is not allowed.")])
    loan.approved_on = None
    loan.approved_principal = loan.principal = loan.proposed_principal or loan.principal
    return _moved(visit, loan, 100, "approval undone", body)


def _leave(status: int, word: str) -> Callable[[Visit, Loan, Json], Json]:
    allowed = {500: (100,), 400: (100,)}

    def run(visit: Visit, loan: Loan, body: Json) -> Json:
        if loan.status not in allowed[status]:
            code = f"error.msg.loan.{word}.account.is.not.submitted.and.pending.state"
            text = f"Loan {word} is not allowed: it is not submitted and pending approval."
            raise invalid([error_row(code, text)])
        return _moved(visit, loan, status, word, body)

    return run


def _undo_disbursal(visit: Visit, loan: Loan, body: Json) -> Json:
    """300 back to 200: the loan reappears in the poll (contracts/mifos.md 5.4)."""
    if loan.is_topup:
        code = "error.msg.loan.undo.disbursal.not.allowed.on.topup.loan"
        raise domain(code, "Undo disbursal is not allowed on topup loans", loan.id)
    if loan.actual_disbursement is None:
        raise invalid([error_row(STATE_CODE, STATE_TEXT)])
    for row in loan.transactions:
        row.reversed = True
    for tranche in loan.tranches:
        tranche.pop("actualDisbursementDate", None)
    loan.actual_disbursement = None
    loan.disbursed_by = None
    loan.principal = loan.approved_principal
    return _moved(visit, loan, 200, "disbursal undone", body)


def _moved(visit: Visit, loan: Loan, status: int, what: str, changes: Json) -> Json:
    loan.status = status
    loan.changed(what, visit.user.name, visit.call.at)
    return {
        "officeId": 2,
        "clientId": loan.client_id,
        "loanId": loan.id,
        "resourceId": loan.id,
        "changes": {"status": status_json(status), **changes},
    }


RUN: dict[str, Callable[[Visit, Loan, Json], Json]] = {
    "approve": _approve,
    "undoapproval": _undo_approval,
    "reject": _leave(500, "rejected"),
    "withdrawnByApplicant": _leave(400, "withdrawn"),
    "undodisbursal": _undo_disbursal,
}


def change_amount(loan: Loan, *, principal: Decimal | None, charges: Decimal | None) -> None:
    """Change what the loan pays out, as an edit or an added charge in Mifos X does."""
    if principal is not None:
        loan.principal = loan.approved_principal = principal
    if charges is not None:
        loan.charges = charges
