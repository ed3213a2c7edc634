"""Pages of the admin over tables that grow for ever: nobody needs the exact number of a million."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

MOST_COUNTED = 10_000


class NearPaginator(_Paginator):
    """Counts up to a limit only; what lies beyond is found by search and by date."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())
