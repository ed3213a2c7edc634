"""`/loan-tracking/export.csv`: the filtered loans as a streamed, spreadsheet-safe file."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from disbursements.pages.door import staff_page
from disbursements.pages.filtering import Filters, read_filters
from disbursements.pages.listing import VIEW_LOANS
from disbursements.pages.scope import visible_loans
from disbursements.pages.searching import search
from disbursements.pages.wording import local_phone, masked_phone, payout
from loans.models import LoanTracking

logger = logging.getLogger(__name__)

# The original's eleven, in its order. Finance's sheets count on it.
HEADINGS = (
    "Loan ID",
    "Client ID",
    "Client Name",
    "Partner",
    "Amount (KES)",
    "Phone Number",
    "Status",
    "Disbursement Status",
    "M-Pesa Receipt",
    "Created Date",
    "Updated Date",
)
FULL_PHONES = "loans.view_full_msisdn"
# OWASP ASVS 5.0, 1.2.10: a cell that begins so is read as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
Phone = Callable[[str], str]


class Echo:
    """A file that hands back what is written to it, so that csv can write into a stream."""

    def write(self, line: str) -> str:
        return line


@require_safe
@staff_page(VIEW_LOANS)
def loan_export(request: HttpRequest) -> HttpResponseBase:
    """The loans of this address, all of them, newest first."""
    filters, now = read_filters(request.GET), timezone.now()
    phone: Phone = local_phone if request.user.has_perm(FULL_PHONES) else masked_phone
    loans = exported(request, filters, now=now)
    lines = csv_lines(loans, phone=phone, by=request.user.get_username())
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{file_name(filters, now)}"'
    return response


def exported(request: HttpRequest, filters: Filters, *, now: datetime) -> QuerySet[LoanTracking]:
    """Return exactly the loans that the list shows under these filters, newest first."""
    loans = filters.scope(visible_loans(request.user))
    if filters.q:
        loans = search(loans, filters.q).loans
    matching = filters.narrow(loans, now=now)
    return matching.select_related("partner").only(*COLUMNS).order_by("-created_at", "-id")


def csv_lines(loans: QuerySet[LoanTracking], *, phone: Phone, by: str) -> Iterator[str]:
    """Yield the file line by line, and log who took how many rows."""
    writer, count = csv.writer(Echo()), 0
    yield writer.writerow(HEADINGS)
    for loan in loans.iterator(chunk_size=1000):
        count += 1
        yield writer.writerow(safe_cells(cells(loan, phone)))
    logger.info("export: %s took %d loans", by, count)


COLUMNS = (
    "loan_id",
    "client_id",
    "client_name",
    "partner__name",
    "loan_amount",
    "net_disbursal_amount",
    "currency",
    "phone_number",
    "status",
    "disbursement_status",
    "mpesa_receipt_number",
    "created_at",
    "updated_at",
)


def cells(loan: LoanTracking, phone: Phone) -> list[Any]:
    """Return one loan in the order of the headings."""
    return [
        loan.loan_id,
        loan.client_id,
        loan.client_name,
        loan.partner.name,
        _amount(loan),
        phone(loan.phone_number),
        loan.status,
        loan.disbursement_status,
        loan.mpesa_receipt_number,
        _iso(loan.created_at),
        _iso(loan.updated_at),
    ]


def _amount(loan: LoanTracking) -> Decimal | str:
    """Return the KES; of another currency a text, which no sum takes for shillings."""
    amount = payout(loan).quantize(Decimal("0.01"))
    return amount if loan.currency == "KES" else f"{loan.currency} {amount}"


def safe_cells(values: Iterable[Any]) -> list[str]:
    """Return the cells as texts that no spreadsheet runs as a formula."""
    texts = ["" if value is None else str(value) for value in values]
    return [f"'{text}" if text.startswith(FORMULA_STARTS) else text for text in texts]


def file_name(filters: Filters, now: datetime, *, kind: str = "csv") -> str:
    """Return `loanpoll_loans_umoja_2026-11-22_EAT.csv`."""
    here = timezone.localtime(now)
    known = [filters.partner] if filters.partner.replace("-", "").isalnum() else []
    return "_".join(["loanpoll_loans", *known, f"{here:%Y-%m-%d}", f"{here:%Z}"]) + f".{kind}"


def _iso(at: datetime) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds")
