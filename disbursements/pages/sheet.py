"""`/loan-tracking/export.xlsx`: the filtered loans as a workbook, and a sheet about them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from disbursements.pages.door import staff_page
from disbursements.pages.exporting import (
    FULL_PHONES,
    HEADINGS,
    Phone,
    cells,
    exported,
    file_name,
)
from disbursements.pages.filtering import Filters, chips, read_filters
from disbursements.pages.listing import VIEW_LOANS
from disbursements.pages.scope import visible_partners
from disbursements.pages.wording import local_phone, masked_phone, money, payout
from loans.models import LoanTracking

logger = logging.getLogger(__name__)
# Excel's own limit, less the heading; what is beyond goes on to the next sheet.
MOST_ROWS = 1_048_575
WIDTHS = (10, 10, 26, 18, 13, 15, 23, 19, 14, 26, 26)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(kw_only=True, slots=True)
class Sums:
    """What was written: rows, and the shillings of those that are in shillings."""

    count: int = 0
    total: Decimal = Decimal(0)


@require_safe
@staff_page(VIEW_LOANS)
def loan_workbook(request: HttpRequest) -> HttpResponseBase:
    """The loans of this address, all of them, newest first, as a workbook."""
    filters, now = read_filters(request.GET), timezone.now()
    phone: Phone = local_phone if request.user.has_perm(FULL_PHONES) else masked_phone
    about = [
        ("Filters", filter_words(filters, request)),
        ("Exported by", request.user.get_username()),
        ("Exported at", f"{timezone.localtime(now):%d %b %Y %H:%M:%S %Z}"),
        ("Phone numbers", "whole" if phone is local_phone else "masked"),
    ]
    file = tempfile.TemporaryFile(suffix=".xlsx")  # noqa: SIM115 - the response closes it
    sums = write_workbook(file, exported(request, filters, now=now), phone=phone, about=about)
    logger.info("export: %s took %d loans", request.user.get_username(), sums.count)
    name = file_name(filters, now, kind="xlsx")
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=name, content_type=XLSX)


def write_workbook(
    file: IO[bytes],
    loans: QuerySet[LoanTracking],
    *,
    phone: Phone,
    about: list[tuple[str, str]],
) -> Sums:
    """Write loans and the sheet about them. No cell is a formula, and ids and phones are texts."""
    # One row is in memory at a time, however many there are.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(file, options) as book:
        sums = _write_loans(book, loans, phone)
        facts = [*about, ("Loans", f"{sums.count:,}"), ("Sum", money(sums.total))]
        _write_about(book, facts)
    return sums


def _write_loans(book: Workbook, loans: QuerySet[LoanTracking], phone: Phone) -> Sums:
    sums = Sums()
    shillings = book.add_format({"num_format": "#,##0.00"})
    sheets = _sheets(book)
    sheet, row = next(sheets), 0
    for loan in loans.iterator(chunk_size=1000):
        if row == MOST_ROWS:
            sheet, row = next(sheets), 0
        row += 1
        _write_row(sheet, row, cells(loan, phone), shillings)
        sums.count += 1
        sums.total += payout(loan) if loan.currency == "KES" else Decimal(0)
    return sums


def _sheets(book: Workbook) -> Iterator[Worksheet]:
    bold = book.add_format({"bold": True, "bottom": 1})
    number = 1
    while True:
        sheet = book.add_worksheet("Loans" if number == 1 else f"Loans {number}")
        sheet.freeze_panes(1, 0)
        for column, (heading, width) in enumerate(zip(HEADINGS, WIDTHS, strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, heading, bold)
        yield sheet
        number += 1


def _write_row(sheet: Worksheet, row: int, values: list[Any], shillings: Any) -> None:
    for column, value in enumerate(values):
        if isinstance(value, Decimal):
            sheet.write_number(row, column, value, shillings)
        elif value not in (None, ""):
            sheet.write_string(row, column, str(value))


def _write_about(book: Workbook, facts: list[tuple[str, str]]) -> None:
    sheet = book.add_worksheet("About")
    bold = book.add_format({"bold": True})
    sheet.set_column(0, 0, 16)
    sheet.set_column(1, 1, 70)
    for row, (name, value) in enumerate(facts):
        sheet.write_string(row, 0, name, bold)
        sheet.write_string(row, 1, value)


def filter_words(filters: Filters, request: HttpRequest) -> str:
    """Return the filters as the list's chips say them."""
    texts = [chip.text for chip in chips(filters, list(visible_partners(request.user)))]
    return "; ".join(texts) or "none: all loans you may see"
