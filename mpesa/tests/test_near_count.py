"""The admin's pages count up to a limit, and one statement does not read a whole table."""

from __future__ import annotations

import pytest

from mpesa import near_count
from mpesa.models import ResultCode
from mpesa.near_count import NearPaginator

pytestmark = pytest.mark.django_db


def test_more_rows_than_the_limit_are_not_counted(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(near_count, "MOST_COUNTED", 3)
    pages = NearPaginator(ResultCode.objects.order_by("code"), 2)

    with django_assert_num_queries(1) as seen:
        assert (pages.count, pages.num_pages) == (3, 2)
    assert "LIMIT 3" in seen[0]["sql"]
