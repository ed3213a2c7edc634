"""From an HTTP answer that is not a success to the error that says what to do next."""

from __future__ import annotations

import re
from typing import Any

from mifos.refusals import (
    MifosBusy,
    MifosCredentials,
    MifosError,
    MifosNotAllowed,
    MifosNotFound,
    MifosRefused,
    MifosUncertain,
    MifosUnreachable,
)
from wire import Answer

REPLAYED_HEADER = "x-served-from-cache"
NOT_AUTHORIZED = "error.msg.not.authorized"
INVALID_TENANT = "error.msg.invalid.tenant.identifier"
DATATABLE_CODE = "error.msg.entry.required.in.datatable."
BUSY_STATUSES = frozenset({409, 425, 429})
# A proxy's time-out. Everything else below 500 with Fineract's envelope was decided by Fineract.
REQUEST_TIMEOUT = 408
CODE_CHARACTERS = re.compile(r"[^A-Za-z0-9._'<>-]")
LONGEST_CODE = 150

# contracts/mifos.md 5.2 in words for staff. Texts from outside are not repeated to people.
SENTENCES = {
    "error.msg.parameter.unsupported": "this Mifos X does not know a field of the request",
    "error.msg.loan.id.invalid": "there is no such loan",
    "error.msg.client.not.active.exception": "the client is not active",
    "error.msg.group.not.active.exception": "the group is not active",
    "error.msg.payment.type.invalid": "the payment type does not exist",
    "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state": (
        "the loan is not approved and waiting; it may be disbursed already"
    ),
    "error.msg.loan.disburse.amount.must.be.less.than.approved.principal": (
        "the amount is above what was approved; the loan may be disbursed already"
    ),
    "error.msg.loan.disburse.amount.must.be.less.than.approved.amount": (
        "the amount is above what was approved"
    ),
    (
        "error.msg.loan.disbursal.amount.can't.be.greater.than."
        "maximum.applied.loan.amount.calculation"
    ): "the amount is above the largest amount that the product allows",
    "error.msg.transaction.date.cannot.be.earlier.than.charge.off.date": "the loan is charged off",
    "error.msg.loan.disbursal.not.allowed.on.charged.off": "the loan is charged off",
    "error.msg.loan.disbursement.amount.not.sufficient": "the collateral does not cover the loan",
    "error.msg.actual.disbursement.date.does.not.match.with.expected.disbursal.date": (
        "this product must be disbursed on its expected date"
    ),
    "error.msg.calendar.loan.actual.disbursement.date.not.valid.recurring.date": (
        "the date is not a meeting date of the group"
    ),
    "error.msg.loan.application.disbursement.date.on.non.working.day": "it is not a working day",
    "error.msg.loan.application.disbursement.date.on.holiday": "it is a holiday",
    "error.msg.loan.actualdisbursementdate.before.submittedDate": (
        "the date is before the loan was submitted"
    ),
    "error.msg.loan.disbursal.cannot.be.before.approval.date": (
        "the date is before the loan was approved"
    ),
    "error.msg.loan.to.be.closed.with.topup.is.not.active": (
        "the loan that this top-up closes is not active"
    ),
    "error.msg.loan.amount.less.than.outstanding.of.loan.to.be.closed": (
        "the top-up is smaller than what is owed on the loan that it closes"
    ),
    "error.msg.loan.disbursal.cannot.be.after.expected.first.repayment.date": (
        "the date is after the first repayment"
    ),
    "error.msg.loan.disbursal.cannot.be.a.future.date": "the date is after its business date",
    "error.msg.loan.disburse.to.savings.requires.linked.account": (
        "a savings account must be linked"
    ),
    "error.msg.loan.disburse.charge.requires.linked.account": (
        "a charge needs a linked savings account"
    ),
    "error.msg.glJournalEntry.invalid.accounting.closed": "the accounts are closed for that date",
    "validation.msg.loan.transaction.externalId.value.must.be.unique": (
        "a transaction with our reference exists already"
    ),
}


def is_replayed(answer: Answer) -> bool:
    """Was this answer stored earlier for the same idempotency key?"""
    return answer.headers.get(REPLAYED_HEADER, "").strip().lower() == "true"


def error_for(answer: Answer, *, doing: str, is_write: bool) -> MifosError:
    """Return the error that `answer`, which is not a success, means while `doing` something."""
    codes = _codes(answer)
    if answer.status == 401 or (answer.status == 400 and not codes):
        return _credentials(answer, codes)
    if answer.status in BUSY_STATUSES:
        return _busy(answer, codes, doing)
    if codes and 400 <= answer.status < 500 and answer.status != REQUEST_TIMEOUT:
        return _refused(answer, codes, doing)
    if is_write:
        return MifosUncertain(
            f"Mifos X answered HTTP {answer.status} while {doing}; it may have been done",
            replayed=is_replayed(answer),
        )
    return MifosUnreachable(f"Mifos X answered HTTP {answer.status} while {doing}")


def _codes(answer: Answer) -> list[str]:
    """Return Fineract's codes from outer to inner; none when the body is not its envelope."""
    try:
        match answer.json():
            case {"userMessageGlobalisationCode": str(outer), **rest}:
                return [_cleaned(outer), *_inner_codes(rest)]
    except ValueError:
        pass
    return []


def _inner_codes(envelope: dict[Any, Any]) -> list[str]:
    match envelope:  # 401 and 409 have no errors, or null (5.2)
        case {"errors": [{"userMessageGlobalisationCode": str(inner)}, *_]}:
            return [_cleaned(inner)]
    return []


def _cleaned(code: str) -> str:
    return CODE_CHARACTERS.sub("", code)[:LONGEST_CODE]


def _credentials(answer: Answer, codes: list[str]) -> MifosCredentials:
    # An unknown tenant is a bare 400 from the filter, or a 401 with this code (1).
    if answer.status == 400 or INVALID_TENANT in codes:
        return MifosCredentials("Mifos X does not know the tenant; check the tenant id")
    return MifosCredentials("Mifos X does not accept the user name and password")


def _busy(answer: Answer, codes: list[str], doing: str) -> MifosBusy:
    why = {
        409: "the loan was changed by someone else at the same moment",
        # Its body is our own request, not the envelope (6).
        425: "the same request is still under way, or died there",
        429: "too many requests",
    }[answer.status]
    if "error.msg.loan.locked" in codes:
        why = "the close-of-business job holds the loan"
    return MifosBusy(
        f"Mifos X was busy while {doing}: {why}",
        code=codes[-1] if codes else "",
        http_status=answer.status,
        # A 425 carries the header too, but stores no outcome: its key must be kept (6).
        replayed=is_replayed(answer) and answer.status != 425,
    )


def _refused(answer: Answer, codes: list[str], doing: str) -> MifosRefused:
    code = codes[-1]
    kind = MifosRefused
    why = SENTENCES.get(code, f"code {code}")
    if code.startswith(DATATABLE_CODE):
        why = f"an entry in the data table {code.removeprefix(DATATABLE_CODE)} is missing"
    if NOT_AUTHORIZED in codes and answer.status == 403:
        kind, why = MifosNotAllowed, "the user lacks the permission"
    elif answer.status == 404:
        kind, why = MifosNotFound, SENTENCES.get(code, "it does not exist")
    return kind(
        f"Mifos X refused while {doing}: {why}",
        code=code,
        http_status=answer.status,
        replayed=is_replayed(answer),
    )
