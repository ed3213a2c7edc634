"""AUDIT 17: a Mifos X that lies about its pages keeps a pass busy for ever (L4, L7)."""

from __future__ import annotations

import itertools

from mifos.listing import Era, Page, walk


def test_a_list_without_end_has_an_end():
    numbers = itertools.count(1)

    def read_page(params):
        rows = [{"id": next(numbers), "status": {"id": 200}} for _ in range(params["limit"])]
        return Page(rows=rows, total=10)  # and it says itself that there are ten

    pages = sum(1 for _ in itertools.islice(walk(read_page, Era.STATUS, page_size=200), 5_000))

    assert pages < 5_000  # a million loans
