"""Walking the list of approved loans on servers that ignore a filter instead of refusing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mifos.answers import APPROVED
from mifos.reading import Row, Unreadable, number_or_none, row_of, rows_of, status_id_of
from mifos.refusals import MifosRefused

ACTIVE = 300

Params = Mapping[str, str | int]


class Era(Enum):
    """Which filter by status a server knows (contracts/mifos.md 0 and 2.1)."""

    STATUS = "1.9 and later"
    SQL_SEARCH = "1.8 and earlier"
    UNFILTERED = "neither filter works"

    def filter_by(self, status_id: int) -> dict[str, str | int]:
        if self is Era.STATUS:
            return {"status": status_id}
        if self is Era.SQL_SEARCH:
            return {"sqlSearch": f"l.loan_status_id in ({status_id})"}
        return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    rows: list[Row]
    total: int


ReadPage = Callable[[Params], Page]


def page_from(value: object) -> Page:
    page = row_of(value, "the page")
    if not isinstance(page.get("pageItems"), list):
        raise Unreadable("pageItems is missing")
    total = number_or_none(page, "totalFilteredRecords") or 0
    return Page(rows=rows_of(page["pageItems"], "pageItems"), total=int(total))


def find_era(read_page: ReadPage) -> Era | None:
    """Ask for two statuses and look at what comes; None while there is no loan to tell by (2.4)."""
    for era in (Era.STATUS, Era.SQL_SEARCH):
        statuses = _statuses_shown(read_page, era)
        if not statuses:
            return None
        if all(asked == shown for asked, shown in statuses):
            return era
    return Era.UNFILTERED


def _statuses_shown(read_page: ReadPage, era: Era) -> list[tuple[int, int]]:
    try:
        return [
            (asked, status_id_of(row))
            for asked in (APPROVED, ACTIVE)
            for row in read_page({**era.filter_by(asked), "offset": 0, "limit": 1}).rows
        ]
    except MifosRefused:
        if era is Era.STATUS:
            raise
        return [(APPROVED, 0)]  # a search that is refused filters nothing


# A list that never ends is a lie; what a true one holds beyond is read once these are paid.
MOST_ROWS = 200_000


def walk(read_page: ReadPage, era: Era, *, page_size: int) -> Iterator[list[Row]]:
    """Yield the rows page by page, each loan once, until nothing new comes."""
    limit = max(page_size, 2)  # a loan can be two rows (2.2), which fill a page of one
    seen: set[Any] = set()
    offset = 0
    while offset < MOST_ROWS:
        page = read_page(_page_params(era, offset=offset, limit=limit))
        fresh = _not_seen(page.rows, seen)
        if fresh:
            yield fresh
        offset += len(page.rows)
        is_short = len(page.rows) < limit and offset >= page.total
        ignores_limit = len(page.rows) > limit
        if not fresh or is_short or ignores_limit:
            return


def _page_params(era: Era, *, offset: int, limit: int) -> dict[str, str | int]:
    # Without an order the pages of a list may overlap (2.2).
    order: dict[str, str | int] = {"orderBy": "l.id", "sortOrder": "ASC"}
    return {**era.filter_by(APPROVED), "offset": offset, "limit": limit, **order}


def _not_seen(rows: list[Row], seen: set[Any]) -> list[Row]:
    fresh = []
    for row in rows:
        key = str(row.get("id"))
        if key not in seen:
            seen.add(key)
            fresh.append(row)
    return fresh
