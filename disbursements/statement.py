"""Reads an M-PESA statement as the organisation portal exports it. No row is lost in silence."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from mpesa.results import NAIROBI, same_phone

# What each column may be called, with all but letters and digits taken away.
COLUMNS: dict[str, frozenset[str]] = {
    "receipt": frozenset({"receiptno", "receiptnumber", "receipt", "transactionid"}),
    "at": frozenset({"completiontime", "completedtime", "transactiontime"}),
    "initiated_at": frozenset({"initiationtime", "initiatedtime"}),
    "details": frozenset({"details", "description"}),
    "status": frozenset({"transactionstatus", "status"}),
    "paid_in": frozenset({"paidin", "credit"}),
    "withdrawn": frozenset({"withdrawn", "withdrawal", "paidout", "debit"}),
    "reason": frozenset({"reasontype", "reason", "transactiontype"}),
    "party": frozenset({"otherpartyinfo", "otherparty", "oppositeparty"}),
    "linked": frozenset({"linkedtransactionid", "linkedtransaction"}),
}
NEEDED = ("receipt", "at", "withdrawn")
DELIMITERS = ",;\t|"
MOST_HEADER_LINES = 100

RECEIPT = re.compile(r"[A-Z0-9]{8,20}")
RECEIPT_IN_TEXT = re.compile(r"\b(?=[A-Z0-9]*[0-9])[A-Z][A-Z0-9]{9}\b")
AMOUNT = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,13})(?:\.[0-9]{1,4})?")
CURRENCY = re.compile(r"(?i)\b(?:kes|kshs?)\b\.?")
MOMENT = re.compile(
    r"(?:[0-9]{4}|[0-9]{1,2})[-/.](?:[0-9]{1,2}|[A-Za-z]{3})[-/.][0-9]{2,4}"
    r"(?:[ T]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?(?: ?[AaPp][Mm])?)?"
)
DATE_FORMATS = ("%d-%m-%Y", "%Y-%m-%d", "%d-%b-%Y", "%d-%m-%y", "%d-%b-%y")
TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
PHONE_SHAPED = re.compile(r"\+?[0-9][0-9*]{6,13}")
PHONE = re.compile(r"\+?(?:254|0)?[17][0-9]{8}")
PAYOUT_WORDS = ("business payment", "salary payment", "promotion payment", "b2c")
CHARGE_WORDS = re.compile(r"\bcharges?\b|\bfee for\b")
REVERSAL_WORDS = re.compile(r"\brevers(al|als|ed|e)\b")
DONE_WORDS = frozenset({"", "completed", "complete", "success", "successful", "reversed"})
# It moved no money, or not yet (contracts/mpesa.md 7). Of any other word nobody knows that.
NOT_DONE = re.compile(
    r"(?:declin|cancel|expir|fail|reject|pending|initiated|authori[sz]ed|in progress|unsuccess).*"
)


class WrongStatement(Exception):
    """The file is no statement we can read. The text says why, for the person who named it."""


class RowKind(StrEnum):
    PAYOUT = "payout"  # to a customer
    CHARGE = "charge"
    REVERSAL = "reversal"
    OTHER = "other"  # top-ups, transfers between own accounts


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementRow:
    """One movement. `amount` is above zero; `at` is UTC; `linked` is the receipt it refers to."""

    line: int
    receipt: str
    at: datetime
    kind: RowKind
    amount: Decimal
    status: str
    party: str
    linked: str

    @property
    def moved_money(self) -> bool:
        return self.status in DONE_WORDS

    @property
    def is_marked_reversed(self) -> bool:
        return self.status == "reversed"


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableRow:
    line: int
    why: str
    receipt: str = ""  # as it stands there: of this payment the statement does speak


@dataclass(kw_only=True, slots=True)
class Statement:
    """One file. `from_at` and `to_at` are the period its head names, where it names one."""

    name: str
    sha256: str
    shortcode: str = ""
    from_at: datetime | None = None
    to_at: datetime | None = None
    rows: list[StatementRow] = field(default_factory=list)
    unreadable: list[UnreadableRow] = field(default_factory=list)


def read_statement(path: Path) -> Statement:
    """Read one export. Raises WrongStatement when it is not one."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise WrongStatement(f"{path.name} cannot be read: {exc.strerror}.") from exc
    statement = Statement(name=path.name, sha256=hashlib.sha256(raw).hexdigest())
    text = _text(raw, path.name)
    seen: set[tuple[object, ...]] = set()
    try:
        table, head = _table(text, path.name)
        _read_head(statement, head)
        for number, cells in table:
            _take(statement, number, cells, seen)
    except csv.Error as exc:
        raise WrongStatement(f"{path.name} is not a clean CSV file: {exc}.") from exc
    return statement


def names_phone(text: str, msisdn: str) -> bool | None:
    """Does this text name our phone number, masked or not? None when it shows no number."""
    for token in PHONE_SHAPED.findall(text):
        if "*" in token:
            return _agrees_masked(token, msisdn)
        if PHONE.fullmatch(token):
            return same_phone(msisdn, token)
    return None


def _agrees_masked(token: str, msisdn: str) -> bool:
    start, _, rest = token.lstrip("+").partition("*")
    if not start.startswith("254"):
        start = f"254{start.removeprefix('0')}"
    return msisdn.startswith(start) and msisdn.endswith(rest.rpartition("*")[2])


def _text(raw: bytes, name: str) -> str:
    if raw.startswith(b"PK"):
        raise WrongStatement(f"{name} is an Excel file. Export or save the statement as CSV.")
    encodings = ["utf-16"] if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return raw.decode(encoding).replace("\x00", "")
        except UnicodeDecodeError:
            continue
    raise WrongStatement(f"{name} is not a text file. Export the statement as CSV.")


def _table(text: str, name: str) -> tuple[Iterator[tuple[int, Mapping[str, str]]], list[list[str]]]:
    """Find the line with the columns' names; below it is the table, above it the head."""
    for delimiter in DELIMITERS:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        head: list[list[str]] = []
        for cells in itertools.islice(lines, MOST_HEADER_LINES):
            columns = _columns(cells)
            if all(column in columns for column in NEEDED):
                return ((lines.line_num, _named(line, columns)) for line in lines), head
            head.append(cells)
    raise WrongStatement(
        f"{name} has no line with the columns Receipt No., Completion Time and Withdrawn. "
        "Export the organisation statement from the M-PESA portal as CSV."
    )


def _named(cells: Sequence[str], columns: Mapping[str, int]) -> dict[str, str]:
    return {
        name: _clean(cells[index]) if index < len(cells) else "" for name, index in columns.items()
    }


def _columns(cells: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, cell in enumerate(cells):
        title = re.sub(r"[^a-z0-9]", "", cell.lower())
        for column, names in COLUMNS.items():
            if title in names:
                found.setdefault(column, index)
    return found


def _clean(cell: str) -> str:
    """Take off what spreadsheets put around text to keep it text: ="…" and a leading apostrophe."""
    text = cell.strip().removeprefix("=").strip('"').removeprefix("'")
    return " ".join(text.split())


def _read_head(statement: Statement, head: Sequence[Sequence[str]]) -> None:
    for cells in head:
        if "shortcode" in _label(cells):
            statement.shortcode = next(iter(re.findall(r"[0-9]{5,7}", " ".join(cells))), "")
    try:
        moments = _moments(head)
    except ValueError:
        return  # half a period would be worse than none: the rows say which days they are of
    if len(moments) >= 2:
        statement.from_at, statement.to_at = min(moments), max(moments)


def _label(cells: Sequence[str]) -> str:
    return re.sub(r"[^a-z]", "", (cells[0] if cells else "").lower())


def _moments(head: Sequence[Sequence[str]]) -> list[datetime]:
    """Return the ends of the period that the head names. Raises ValueError."""
    moments: list[datetime] = []
    for cells in head:
        label, rest = _label(cells), " ".join(cells)
        if label.startswith(("from", "start", "timeperiod", "period", "daterange")):
            moments += [moment_of(text) for text in MOMENT.findall(rest)]
        if label.startswith(("to", "end", "timeperiod", "period", "daterange")):
            moments += [_end_of(text) for text in MOMENT.findall(rest)]
    return moments


def _end_of(text: str) -> datetime:
    """A period that ends on a day without a time ends with that day."""
    moment = moment_of(text)
    return moment if ":" in text else moment + timedelta(days=1) - timedelta(microseconds=1)


def _take(
    statement: Statement, number: int, cells: Mapping[str, str], seen: set[tuple[object, ...]]
) -> None:
    if not any(cells.get(name) for name in ("at", "withdrawn", "paid_in")):
        return  # an empty line, or words under the table
    try:
        row = _row(number, cells)
    except ValueError as exc:
        named = cells["receipt"].upper()
        statement.unreadable.append(UnreadableRow(line=number, why=str(exc), receipt=named))
        return
    # Two exported pages may overlap: one receipt is one transaction and its charge, once each.
    key = (row.receipt, row.kind, row.amount, row.at, row.status)
    if key not in seen:
        seen.add(key)
        statement.rows.append(row)


def _row(number: int, cells: Mapping[str, str]) -> StatementRow:
    receipt = cells["receipt"].upper()
    if not RECEIPT.fullmatch(receipt):
        raise ValueError("there is no receipt number")
    out = amount_of(cells["withdrawn"])
    into = amount_of(cells.get("paid_in", ""))
    party = cells.get("party", "") or cells.get("details", "")
    kind = _kind(cells, is_out=bool(out), party=party)
    status = cells.get("status", "").lower()
    if status not in DONE_WORDS and not NOT_DONE.fullmatch(status):
        raise ValueError(f"the status '{status[:30]}' is not known")
    return StatementRow(
        line=number,
        receipt=receipt,
        at=moment_of(cells["at"] or cells.get("initiated_at", "")),
        kind=kind,
        amount=abs(out or into),
        status=status,
        party=party,
        linked=_linked(cells, own=receipt) if kind == RowKind.REVERSAL else "",
    )


def _kind(cells: Mapping[str, str], *, is_out: bool, party: str) -> RowKind:
    words = f"{cells.get('reason', '')} {cells.get('details', '')}".lower()
    name = cells.get("party", "").lower()
    said = words.replace(name, " ") if name else words  # nobody is a charge by his name
    if CHARGE_WORDS.search(said):
        return RowKind.CHARGE
    if REVERSAL_WORDS.search(said):
        return RowKind.REVERSAL
    is_to_customer = any(word in words for word in PAYOUT_WORDS) or _shows_phone(party)
    return RowKind.PAYOUT if is_out and is_to_customer else RowKind.OTHER


def _shows_phone(party: str) -> bool:
    return any("*" in token or PHONE.fullmatch(token) for token in PHONE_SHAPED.findall(party))


def _linked(cells: Mapping[str, str], *, own: str) -> str:
    linked = cells.get("linked", "").upper()
    if RECEIPT.fullmatch(linked):
        return linked
    named = RECEIPT_IN_TEXT.findall(cells.get("details", "").upper())
    return next((receipt for receipt in named if receipt != own), own)


def amount_of(text: str) -> Decimal:
    """Return an amount in KES; an empty cell is nothing. Raises ValueError."""
    bare = CURRENCY.sub("", text).replace(" ", "").strip('"')
    if bare in {"", "-"}:
        return Decimal(0)
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    if not AMOUNT.fullmatch(bare):
        raise ValueError("an amount cannot be read")
    return Decimal(bare.replace(",", ""))


def moment_of(text: str) -> datetime:
    """Return the instant (UTC) of a Kenyan date and time, day first. Raises ValueError."""
    day, _, clock = text.replace("T", " ").strip().partition(" ")
    local = datetime.combine(_parsed(re.sub(r"[/.]", "-", day), DATE_FORMATS), time.min)
    if clock:
        bare = re.sub(r"\.[0-9]+", "", clock).strip().upper()
        at = _parsed(re.sub(r"(?<=[0-9])(?=[AP]M)", " ", bare), TIME_FORMATS).time()
        local = datetime.combine(local.date(), at)
    return local.replace(tzinfo=NAIROBI).astimezone(UTC)


def _parsed(text: str, formats: Sequence[str]) -> datetime:
    for each in formats:
        try:
            # The zone is put on by the caller: the statement's times are Kenyan and name none.
            return datetime.strptime(text, each)  # noqa: DTZ007
        except ValueError:
            continue
    raise ValueError("the time cannot be read")
