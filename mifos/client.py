"""Mifos X over HTTP: one method per question, one typed answer, errors that say what to do next."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from mifos.answers import (
    APPROVED,
    AwaitingChecker,
    Calendar,
    Client,
    CommandState,
    Disbursal,
    Disbursed,
    DisburseOrder,
    Holiday,
    Loan,
    LoanDetail,
    MifosConfig,
    PaymentType,
    Product,
    Unsupported,
)
from mifos.envelope import error_for, is_replayed
from mifos.exchange import Ending, Exchange, Keep, keep_nothing
from mifos.listing import Era, Page, Params, find_era, page_from, walk
from mifos.reading import (
    Row,
    Unreadable,
    active_holidays,
    client_from,
    command_state_of,
    date_of,
    disbursal_from,
    flag_of,
    is_disbursal,
    loan_detail_from,
    loan_from,
    payment_type_from,
    product_from,
    row_of,
    rows_of,
    settings_of,
    status_id_of,
    text_of,
    weekdays_of,
)
from mifos.refusals import (
    MifosBusy,
    MifosCredentials,
    MifosError,
    MifosNotAllowed,
    MifosNotFound,
    MifosRefused,
    MifosUncertain,
    MifosUnreachable,
    MifosUnreadable,
)
from wire import Answer, NoAnswer, NotSent, Wire, WireConfig

__all__ = [
    "AwaitingChecker",
    "Calendar",
    "Client",
    "CommandState",
    "Disbursal",
    "DisburseOrder",
    "Disbursed",
    "Holiday",
    "Loan",
    "LoanDetail",
    "MifosBusy",
    "MifosClient",
    "MifosConfig",
    "MifosCredentials",
    "MifosError",
    "MifosNotAllowed",
    "MifosNotFound",
    "MifosRefused",
    "MifosUncertain",
    "MifosUnreachable",
    "MifosUnreadable",
    "PaymentType",
    "Product",
    "Unsupported",
    "may_disburse",
]

T = TypeVar("T")
logger = logging.getLogger(__name__)

LOAN_ASSOCIATIONS = "charges,multiDisburseDetails,linkedAccount,transactions"
CLIENT_FIELDS = "id,displayName,mobileNo,active,status,officeId"
ALLOW_ON_HOLIDAY = "allow-transactions-on-holiday"
ALLOW_ON_NON_WORKING_DAY = "allow-transactions-on-non_workingday"
BUSINESS_DATE_ENABLED = "enable-business-date"
NO_PAYMENT_TYPE = "loanpoll.payment.type.missing"
LOAN_NOT_FOUND = "error.msg.loan.id.invalid"

# English whatever the process's locale is: Fineract reads them with locale "en" (9).
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
# 600 and 700: a down payment or an overpayment can close the loan at once (contracts/mifos.md 3).
DISBURSED_STATUSES = frozenset({300, 600, 700})
LONGEST_PAYMENT_TEXT = 50
LONGEST_NOTE = 1000
LONGEST_IDEMPOTENCY_KEY = 50  # m_portfolio_command_source.idempotency_key
HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def may_disburse(permissions: frozenset[str]) -> bool:
    """May a user with these permissions record a disbursement?"""
    return not permissions.isdisjoint({"DISBURSE_LOAN", "ALL_FUNCTIONS"})


class MifosClient:
    """One tenant of one Mifos X, to be shared by many threads.

    `unreadable_rows` holds a line for every approved loan that the last listing could not read.
    `keep` is told of every exchange once it has ended, in the thread that made it.
    """

    def __init__(self, config: MifosConfig, *, keep: Keep = keep_nothing) -> None:
        if not config.tenant.strip():
            # Without the header Fineract may answer for another tenant's loans (14.17).
            raise MifosCredentials("No tenant is set for Mifos X")
        self.unreadable_rows: list[str] = []
        self._config = config
        self._keep = keep
        self._base_url = config.base_url.rstrip("/")
        self._era: Era | None = None
        self._era_lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(config.concurrency)
        self._wire = Wire(
            WireConfig(
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
                allow_private_hosts=config.allow_private_hosts,
                pool_size=config.concurrency,
            )
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._wire.close()

    def approved_loans(self, *, page_size: int = 200) -> Iterator[list[Loan]]:
        """Yield the loans that wait for disbursal, page by page, each once. Raises MifosError.

        A hint and no more: a loan can slip between two pages and show again at the next listing.
        """
        self.unreadable_rows = []
        for rows in walk(self._loan_page, self._known_era(), page_size=page_size):
            loans = [loan for row in rows if (loan := self._approved_loan(row)) is not None]
            if loans:
                yield loans

    def loan(self, loan_id: int) -> LoanDetail:
        """Read one loan afresh. Raises MifosError, MifosNotFound among them."""
        params: Params = {"associations": LOAN_ASSOCIATIONS}
        doing = f"reading loan {loan_id}"
        value = self._get(f"/loans/{loan_id}", doing, params)
        with _readable(doing):
            loan = loan_detail_from(row_of(value, "loan"))
            if loan.loan_id != loan_id:
                raise Unreadable(f"it is about loan {loan.loan_id}")
        return loan

    def client(self, client_id: int) -> Client:
        """Read one client afresh. Raises MifosError."""
        doing = f"reading client {client_id}"
        value = self._get(f"/clients/{client_id}", doing, {"fields": CLIENT_FIELDS})
        with _readable(doing):
            client = client_from(row_of(value, "client"))
            if client.client_id != client_id:
                raise Unreadable(f"it is about client {client.client_id}")
        return client

    def payment_types(self) -> list[PaymentType]:
        """List the payment types of this tenant. Raises MifosError."""
        return self._list("/paymenttypes", payment_type_from, doing="reading the payment types")

    def products(self) -> list[Product]:
        """List the loan products of this tenant. Raises MifosError."""
        return self._list(
            "/loanproducts", product_from, doing="reading the products", fields="id,name"
        )

    def disburses_on_expected_date_only(self, product_id: int) -> bool | None:
        """Does this product take a loan on its expected date only (contracts/mifos.md 5.2 row 9)?

        None when our user may not read products. Raises MifosError.
        """
        doing = f"reading product {product_id}"
        flag = "syncExpectedWithDisbursementDate"
        value = self._get_if_allowed(f"/loanproducts/{product_id}", doing, {"fields": f"id,{flag}"})
        with _readable(doing):
            return None if value is None else flag_of(row_of(value, "product"), flag)

    def permissions(self) -> frozenset[str]:
        """Log in and return what our user may do. Raises MifosError."""
        doing = "logging in"
        body = {"username": self._config.username, "password": self._config.password}
        value = self._read("POST", "/authentication", doing, body=body)
        with _readable(doing):
            return _permissions_of(row_of(value, "authentication"))

    def business_date(self, *, now: datetime) -> date:
        """Return the day that Mifos X takes for today. Raises MifosError."""
        today = now.astimezone(ZoneInfo(self._config.time_zone)).date()
        doing = "reading the business date"
        value = self._get_if_allowed("/businessdate/BUSINESS_DATE", doing)
        if value is None:
            return today
        with _readable(doing):
            business_date = date_of(row_of(value, "business date"), "date")
        if business_date == today:
            return today
        # A date that was left behind when the feature was switched off is still served.
        is_enabled = (self._settings() or {}).get(BUSINESS_DATE_ENABLED, True)
        return business_date if is_enabled else today

    def calendar(self, *, office_id: int) -> Calendar:
        """Return on which days an office disburses, and what we may not see. Raises MifosError."""
        holidays = self._holidays(office_id)
        weekdays = self._working_weekdays()
        settings = self._settings()
        parts = {"holidays": holidays, "working days": weekdays, "configurations": settings}
        return Calendar(
            holidays=holidays or (),
            working_weekdays=weekdays,
            # Fineract's own default is to refuse, so unseen means no.
            allows_holidays=(settings or {}).get(ALLOW_ON_HOLIDAY, False),
            allows_non_working_days=(settings or {}).get(ALLOW_ON_NON_WORKING_DAY, False),
            unreadable=tuple(name for name, part in parts.items() if part is None),
        )

    def disburse(self, order: DisburseOrder) -> Disbursed | AwaitingChecker:
        """Record a payment that was made. Raises MifosError; after MifosUncertain look first."""
        doing = f"recording loan {order.loan_id} as disbursed"
        if order.payment_type_id <= 0:
            # Fineract would take it, and drop the receipt silently (5.1).
            raise MifosRefused(
                f"Stopped before {doing}: no payment type is set", code=NO_PAYMENT_TYPE
            )
        try:
            answer = self._send(
                "POST",
                f"/loans/{order.loan_id}",
                params={"command": "disburse"},
                headers={"Idempotency-Key": _idempotency_key(order.idempotency_key)},
                body=_disburse_body(order),
            )
        except NotSent as exc:
            raise MifosUnreachable(f"Mifos X could not be reached for {doing}") from exc
        except NoAnswer as exc:
            raise MifosUncertain(f"Mifos X gave no answer while {doing}") from exc
        if answer.status != 200:
            raise error_for(answer, doing=doing, is_write=True)
        return _outcome_of(answer, order, doing)

    def disbursal_by_external_id(
        self, loan_id: int, external_id: str
    ) -> Disbursal | Literal[Unsupported.UNSUPPORTED] | None:
        """Find a disbursement by our own id; UNSUPPORTED before 1.9. Raises MifosError."""
        doing = f"looking up a transaction of loan {loan_id}"
        path = f"/loans/{loan_id}/transactions/external-id/{quote(external_id, safe='')}"
        answer = self._ask("GET", path, doing)
        try:
            document = _document(answer, doing)
        except MifosNotFound as exc:
            if exc.code == LOAN_NOT_FOUND:
                raise
            return None
        except MifosUnreachable:
            if answer.status in {404, 405}:  # without Fineract's envelope: no such address
                return Unsupported.UNSUPPORTED
            raise
        with _readable(doing):
            if not document:  # an empty answer is no proof of absence
                raise Unreadable("the transaction is missing")
            row = row_of(document, "transaction")
            return disbursal_from(row) if is_disbursal(row) else None

    def command_state(self, command_id: int, *, loan_id: int) -> CommandState:
        """Return where a command on this loan stands that awaited a checker. Raises MifosError."""
        doing = f"reading command {command_id}"
        answer = self._ask("GET", f"/audits/{command_id}", doing)
        if answer.status in {403, 405}:  # not for our user's eyes
            return CommandState.UNREADABLE
        try:
            value = _document(answer, doing)
        except MifosNotFound:  # in Fineract's envelope: a proxy's 404 says nothing of it
            return CommandState.GONE
        with _readable(doing):
            return command_state_of(row_of(value, "audit"), loan_id=loan_id)

    def _approved_loan(self, row: Row) -> Loan | None:
        try:
            # Again, because a filter that a server does not know is silently no filter (2.1).
            if status_id_of(row) == APPROVED:
                return loan_from(row)
            self._doubt_era()
            return None
        except Unreadable as exc:
            line = f"Loan {text_of(row, 'id', most=20) or 'without id'}: {exc}"
            self.unreadable_rows.append(line)
            logger.warning("a row of the list of loans cannot be read: %s", line)
            return None

    def _known_era(self) -> Era:
        with self._era_lock:
            if self._era is None:
                self._era = find_era(self._loan_page)
            return self._era or Era.STATUS

    def _doubt_era(self) -> None:
        """A filter that lets another status through works no more: the server was upgraded."""
        with self._era_lock:
            if self._era is not Era.UNFILTERED:
                self._era = None

    def _loan_page(self, params: Params) -> Page:
        doing = "listing the approved loans"
        value = self._get("/loans", doing, params)
        with _readable(doing):
            return page_from(value)

    def _list(
        self, path: str, read: Callable[[Row], T], *, doing: str, fields: str | None = None
    ) -> list[T]:
        value = self._get(path, doing, {"fields": fields} if fields else None)
        with _readable(doing):
            if value is None:
                raise Unreadable("the list is missing")
            return [read(row) for row in rows_of(value, "the list")]

    def _holidays(self, office_id: int) -> tuple[Holiday, ...] | None:
        doing = "reading the holidays"
        value = self._get_if_allowed("/holidays", doing, {"officeId": office_id})
        with _readable(doing):
            return None if value is None else active_holidays(value)

    def _working_weekdays(self) -> frozenset[int] | None:
        doing = "reading the working days"
        value = self._get_if_allowed("/workingdays", doing)
        with _readable(doing):
            return None if value is None else weekdays_of(row_of(value, "working days"))

    def _settings(self) -> dict[str, bool] | None:
        doing = "reading the configurations"
        value = self._get_if_allowed("/configurations", doing)
        with _readable(doing):
            return None if value is None else settings_of(row_of(value, "configurations"))

    def _get_if_allowed(self, path: str, doing: str, params: Params | None = None) -> object:
        """Return what is there, or None when it is not there or not for our user's eyes."""
        answer = self._ask("GET", path, doing, params=params)
        if answer.status in {403, 404, 405}:
            return None
        return _document(answer, doing)

    def _get(self, path: str, doing: str, params: Params | None = None) -> object:
        return self._read("GET", path, doing, params=params)

    def _read(self, method: str, path: str, doing: str, **request: Any) -> object:
        return _document(self._ask(method, path, doing, **request), doing)

    def _ask(self, method: str, path: str, doing: str, **request: Any) -> Answer:
        """Send something that changes nothing there."""
        try:
            return self._send(method, path, **request)
        except (NotSent, NoAnswer) as exc:
            raise MifosUnreachable(f"Mifos X did not answer while {doing}") from exc

    def _send(self, method: str, path: str, **request: Any) -> Answer:
        """Send one request and tell of it. Raises NotSent and NoAnswer."""
        started_at, started = datetime.now(UTC), time.monotonic()
        answer: Answer | None = None
        ending = Ending.NO_ANSWER
        try:
            answer = self._over_the_wire(method, path, **request)
            ending = Ending.ANSWERED
        except NotSent:
            ending = Ending.NOT_SENT
            raise
        finally:
            self._keep(
                Exchange(
                    method=method,
                    path=path,
                    command=str((request.get("params") or {}).get("command", "")),
                    started_at=started_at,
                    seconds=time.monotonic() - started,
                    ending=ending,
                    status=answer.status if answer else None,
                    body=answer.body if answer else b"",
                    secrets=(self._config.password,),
                )
            )
        return answer

    def _over_the_wire(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: dict[str, str] | None = None,
        body: object | None = None,
    ) -> Answer:
        # Fineract has one small connection pool: two to four calls at a time (10).
        with self._turns:
            return self._wire.send(
                method,
                self._base_url + path,
                params=params,
                # Stored answers are kept for requests of this content type only (1).
                headers={
                    "Fineract-Platform-TenantId": self._config.tenant,
                    "Content-Type": "application/json",
                    **(headers or {}),
                },
                body=body,
                auth=(self._config.username, self._config.password),
            )


@contextmanager
def _readable(doing: str) -> Iterator[None]:
    try:
        yield
    except Unreadable as exc:
        raise MifosUnreadable(
            f"Mifos X gave an answer that cannot be used while {doing}: {exc}"
        ) from exc


def _document(answer: Answer, doing: str) -> object:
    if answer.status != 200:
        raise error_for(answer, doing=doing, is_write=False)
    try:
        return answer.json()
    except ValueError as exc:
        raise MifosUnreachable(
            f"Mifos X gave an answer that cannot be used while {doing}: it is not JSON"
        ) from exc


def _permissions_of(row: Row) -> frozenset[str]:
    if row.get("isTwoFactorAuthenticationRequired") is True:
        raise MifosCredentials("The Mifos X user needs a second factor, which a program has not")
    if row.get("shouldRenewPassword") is True:
        raise MifosCredentials("The password of the Mifos X user has expired and must be renewed")
    permissions = row.get("permissions")
    if not isinstance(permissions, list):
        raise Unreadable("permissions is missing")
    return frozenset(str(name) for name in permissions)


def _disburse_body(order: DisburseOrder) -> dict[str, object]:
    """Return the body of contracts/mifos.md 5.1. Any other key would be refused."""
    on = order.on
    body: dict[str, object] = {
        "actualDisbursementDate": f"{on.day:02d} {MONTHS[on.month - 1]} {on.year:04d}",
        "dateFormat": "dd MMMM yyyy",
        "locale": "en",
        "transactionAmount": _plain(order.principal),
        "paymentTypeId": order.payment_type_id,
        "receiptNumber": order.receipt_number[:LONGEST_PAYMENT_TEXT],
        "accountNumber": order.account_number[:LONGEST_PAYMENT_TEXT],
        "routingCode": order.routing_code[:LONGEST_PAYMENT_TEXT],
        "externalId": order.external_id,
    }
    if order.note:
        body["note"] = order.note[:LONGEST_NOTE]
    return body


def _plain(amount: Decimal) -> int | Decimal:
    return int(amount) if amount == amount.to_integral_value() else amount.normalize()


def _idempotency_key(key: str) -> str:
    """Return a key that fits Fineract's column; a longer one is folded, the same way every time."""
    if len(key) <= LONGEST_IDEMPOTENCY_KEY and HEADER_SAFE.fullmatch(key):
        return key
    return "lp-" + hashlib.sha256(key.encode()).hexdigest()[: LONGEST_IDEMPOTENCY_KEY - 3]


def _outcome_of(answer: Answer, order: DisburseOrder, doing: str) -> Disbursed | AwaitingChecker:
    """Read a 200. `resourceId` is never looked at: 1.8 puts a transaction's id there (0)."""
    with _certain(answer, doing):
        match answer.json():
            case {"loanId": int(loan_id), "changes": {"status": {"id": int(status_id)}}}:
                if loan_id == order.loan_id and status_id in DISBURSED_STATUSES:
                    return Disbursed(loan_id=loan_id, status_id=status_id)
            case {"commandId": int(command_id), **rest} if command_id > 0 and "changes" not in rest:
                # Maker-checker answers 200 although nothing is recorded (5.3).
                return AwaitingChecker(command_id=command_id)
        raise ValueError("not an answer to this request")


@contextmanager
def _certain(answer: Answer, doing: str) -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise MifosUncertain(
            f"Mifos X gave an answer that proves nothing while {doing}",
            replayed=is_replayed(answer),
        ) from exc
