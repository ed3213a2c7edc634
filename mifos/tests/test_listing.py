"""The list of approved loans, on servers that ignore a filter, a limit or an order."""

import json
from decimal import Decimal

import pytest

from mifos.client import MifosCredentials, MifosUnreachable
from mifos.listing import Era
from mifos.tests.conftest import BASE, example

LOANS = f"{BASE}/loans"


def row(loan_id, status_id=200, **changes):
    plain = example("loan_list_page_approved")["pageItems"][0]
    return plain | {"id": loan_id, "status": {"id": status_id}} | changes


class Server:
    """Answers /loans like a Fineract of some era, over a list of rows."""

    def __init__(self, http, rows, *, knows=("status",), refuses=(), quirk=None):
        self.rows, self.knows, self.refuses, self.quirk = rows, knows, refuses, quirk
        self.queries = []
        http.add_callback("GET", LOANS, self.answer)

    def answer(self, request):
        query = dict(request.params)
        self.queries.append(query)
        if self.refuses and set(self.refuses) & set(query):
            return 403, {}, json.dumps(example("error_holiday"))
        chosen = [each for each in self.rows if self._matches(each, query)]
        offset, limit = int(query["offset"]), int(query["limit"])
        if self.quirk == "ignores limit":
            offset, limit = 0, len(chosen)
        if self.quirk == "ignores offset":
            offset = 0
        if self.quirk == "caps limit":
            limit = min(limit, 2)
        page = chosen[offset : offset + limit]
        total = 0 if self.quirk == "counts nothing" else len(chosen)
        return 200, {}, json.dumps({"totalFilteredRecords": total, "pageItems": page})

    def _matches(self, each, query):
        status = each["status"]["id"]
        if "status" in query and "status" in self.knows:
            return status == int(query["status"])
        if "sqlSearch" in query and "sqlSearch" in self.knows:
            return f"({status})" in query["sqlSearch"]
        return True


def ids(mifos, **options):
    return [loan.loan_id for page in mifos.approved_loans(**options) for loan in page]


PORTFOLIO = [row(n, status) for n, status in enumerate([300, 200, 600, 200, 100, 200, 300, 200], 1)]
WAITING = [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("knows", "era"),
    [
        (("status",), Era.STATUS),
        (("sqlSearch",), Era.SQL_SEARCH),
        (("status", "sqlSearch"), Era.STATUS),
        ((), Era.UNFILTERED),
    ],
)
@pytest.mark.parametrize("page_size", [2, 3, 200])
def test_a_silently_ignored_filter_is_seen(mifos, http, knows, era, page_size):
    Server(http, PORTFOLIO, knows=knows)

    assert ids(mifos, page_size=page_size) == WAITING
    assert mifos._era is era


@pytest.mark.parametrize("rows", [[row(1, 300)], [row(1, 200)], [row(1, 100), row(2, 200)]])
def test_one_kind_of_loan_is_enough_to_see_an_ignored_filter(mifos, http, rows):
    Server(http, rows, knows=("sqlSearch",))

    ids(mifos)

    assert mifos._era is Era.SQL_SEARCH


def test_a_search_that_is_refused_filters_nothing(mifos, http):
    Server(http, PORTFOLIO, knows=(), refuses=("sqlSearch",))

    assert ids(mifos) == WAITING
    assert mifos._era is Era.UNFILTERED


def test_a_refusal_of_the_status_filter_is_not_taken_for_an_old_server(mifos, http):
    http.get(LOANS, status=403, json=example("error_no_permission"))

    with pytest.raises(Exception, match="permission"):
        ids(mifos)
    assert mifos._era is None


def test_the_probe_is_made_once(mifos, http):
    server = Server(http, PORTFOLIO)
    ids(mifos)
    first = len(server.queries)

    ids(mifos)

    assert (first, len(server.queries)) == (3, 4)


def test_without_any_loan_the_era_stays_open(mifos, http):
    server = Server(http, [])
    assert ids(mifos) == []

    server.rows, server.knows = PORTFOLIO, ("sqlSearch",)

    assert ids(mifos) == WAITING


def test_pages_come_in_a_stable_order(mifos, http):
    server = Server(http, PORTFOLIO)

    ids(mifos, page_size=3)

    assert server.queries[-1] == {
        "status": "200",
        "offset": "3",
        "limit": "3",
        "orderBy": "l.id",
        "sortOrder": "ASC",
    }


@pytest.mark.parametrize(
    "quirk", ["ignores limit", "ignores offset", "caps limit", "counts nothing", None]
)
def test_a_listing_ends_whatever_the_server_ignores(mifos, http, quirk):
    Server(http, [row(n) for n in range(1, 6)], quirk=quirk)

    listed = ids(mifos, page_size=3 if quirk != "caps limit" else 200)

    assert listed == ([1, 2, 3] if quirk == "ignores offset" else [1, 2, 3, 4, 5])


def test_a_loan_that_is_two_rows_is_listed_once(mifos, http):
    """contracts/mifos.md 2.2: the join over client's and group's office."""
    Server(http, [row(1), row(1), row(2), row(2), row(3)])

    assert ids(mifos, page_size=1) == [1, 2, 3]
    assert ids(mifos, page_size=3) == [1, 2, 3]


def test_a_row_that_cannot_be_read_is_skipped_and_shown(mifos, http, caplog):
    Server(http, [row(1), row(2, principal=None), row(3, currency=None), row(4)])

    assert ids(mifos) == [1, 4]
    assert mifos.unreadable_rows == [
        "Loan 2: principal is missing or zero",
        "Loan 3: currency is missing",
    ]
    assert "Loan 2" in caplog.text
    assert "Wanjiku" not in caplog.text


def test_an_odd_row_of_another_status_is_nobodys_business(mifos, http):
    Server(http, [row(1), row(2, 300, principal=None)], knows=())

    assert ids(mifos) == [1]
    assert mifos.unreadable_rows == []


def test_the_next_listing_forgets_the_rows_of_the_last(mifos, http):
    server = Server(http, [row(1), row(2, principal=None)])
    ids(mifos)
    server.rows = [row(1)]

    ids(mifos)

    assert mifos.unreadable_rows == []


def test_amounts_of_a_list_are_exact(mifos, http):
    http.get(
        LOANS,
        body=json.dumps({"pageItems": [row(1)]}).replace("19400.0", "19400.100000"),
    )

    ((loan,),) = mifos.approved_loans()

    assert loan.net_disbursal_amount == Decimal("19400.100000")


@pytest.mark.parametrize(
    "answer",
    [
        {"json": []},
        {"json": {"pageItems": {}}},
        {"json": {"pageItems": [5]}},
        {"json": {"pageItems": [], "totalFilteredRecords": "many"}},
        {"body": "<html>"},
        {"status": 500, "json": {"Exception": 'For input string: "approved"'}},
        {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
    ],
    ids=str,
)
def test_an_odd_list_is_no_list(mifos, http, answer):
    http.get(LOANS, **answer)

    with pytest.raises(MifosUnreachable, match="listing the approved loans"):
        ids(mifos)


def test_a_listing_with_a_wrong_password_says_so(mifos, http):
    http.get(LOANS, status=401, json=example("error_unauthenticated_filter"))

    with pytest.raises(MifosCredentials, match="password"):
        ids(mifos)


def test_a_page_without_a_waiting_loan_is_not_the_end(mifos, http):
    Server(http, [row(1, 300), row(2, 600), row(3), row(4, 300)], knows=())

    assert ids(mifos, page_size=2) == [3]


def test_an_upgrade_of_the_server_is_seen(mifos, http):
    server = Server(http, PORTFOLIO, knows=("sqlSearch",))
    ids(mifos)
    server.knows = ("status",)

    assert ids(mifos) == WAITING
    assert ids(mifos) == WAITING
    assert mifos._era is Era.STATUS
