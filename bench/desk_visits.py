"""Visits every kind of page and prints what each cost, as JSON: `python -m bench.desk_visits N`."""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import django

if __name__ == "__main__":
    django.setup()

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from bench.desk_rows import RARE, STEP, fill

VISITS, FEWEST = 60, 6
MOST_SECONDS = 10
WARM = 2
LIST = "/loan-tracking"
Addresses = Callable[[int], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One kind of page. `address` is given a number that is another at each visit."""

    name: str
    address: Addresses
    user: str = "all"


def visits(loans: int) -> Iterator[Visit]:
    """Yield every kind of page that is measured."""
    yield from _lists(loans)
    yield from _searches(loans)
    yield from _filters()
    yield Visit(name="loan page", address=lambda at: f"{LIST}/{_spread(at, loans)}")
    yield Visit(name="live refresh", address=lambda _: f"{LIST}/changes")
    yield Visit(name="partners", address=lambda _: "/partners")
    yield Visit(name="charts, 30 days", address=lambda _: "/charts")


def _lists(loans: int) -> Iterator[Visit]:
    yield Visit(name="list", address=lambda _: LIST)
    yield Visit(name="list, bound to one lender", address=lambda _: LIST, user="one")
    for sort in ("newest", "highest", "status"):
        yield Visit(name=f"list, {sort}", address=_query(sort=sort))
    yield Visit(
        name="list, a page in the middle",
        address=lambda at: f"{LIST}?sort=newest&after={_key(loans // 2 + at)}",
    )


def _searches(loans: int) -> Iterator[Visit]:
    def exact(pattern: str) -> Addresses:
        return lambda at: f"{LIST}?q={pattern.format(_spread(at, loans))}"

    yield Visit(
        name="search a phone", address=lambda at: f"{LIST}?q=07{_spread(at, loans) + 10**7}"
    )
    yield Visit(name="search a loan", address=lambda at: f"{LIST}?q={_spread(at, loans) + 10_000}")
    yield Visit(
        name="search a receipt", address=lambda at: f"{LIST}?q={10**9 + _spread(at, loans)}"
    )
    yield Visit(name="search a conversation", address=exact("AG_{}"))
    yield Visit(name="search a frequent name", address=_query(q="achieng wanjiru"))
    yield Visit(name="search a rare name", address=_query(q=RARE.lower()))
    yield Visit(name="search a name nobody has", address=_query(q="nobody has this"))
    yield Visit(name="search a rare name, one lender", address=_query(q=RARE.lower()), user="one")


def _filters() -> Iterator[Visit]:
    for status in ("needs_review", "pending", "failed", "disbursed"):
        yield Visit(name=f"filter {status}", address=_query(status=status))
    yield Visit(name="filter paid today", address=_query(when="today", on="paid"))
    yield Visit(name="filter lender", address=_query(partner="lender-7"))
    yield Visit(name="filter lender and product", address=_query(product="lender-7:3"))
    yield Visit(
        name="filter lender and failed", address=_query(partner="lender-7", status="failed")
    )
    yield Visit(name="filter amount:>100500", address=_query(q="amount:>100500"))


def _query(**parameters: str) -> Addresses:
    return lambda _: f"{LIST}?{urlencode(parameters)}"


def _spread(at: int, loans: int) -> int:
    """Return a loan somewhere among all of them, another at each visit."""
    return 1000 + at * 7919 % (loans - 1000)


def _key(loan: int) -> str:
    at = timezone.now() - timedelta(seconds=loan * STEP)
    return base64.urlsafe_b64encode(json.dumps([0, at.isoformat(), str(loan)]).encode()).decode()


def measure(visit: Visit) -> dict[str, Any]:
    """Visit one kind of page many times; return times, weight and statements."""
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.get(username=visit.user))
    for at in range(WARM):
        _get(client, visit.address(at))
    with Counted() as counted:
        times, weights = zip(*_seen(client, visit), strict=True)
    return {
        "name": visit.name,
        "visits": len(times),
        "p50": statistics.median(times),
        "p95": statistics.quantiles(times, n=20)[-1],
        "bytes": max(weights),
        "statements": counted.statements / len(times),
    }


def _seen(client: Client, visit: Visit) -> Iterator[tuple[float, int]]:
    """Visit again and again; a page that takes long is not visited as often."""
    until = time.monotonic() + MOST_SECONDS
    for at in range(VISITS):
        if at >= FEWEST and time.monotonic() > until:
            return
        yield _get(client, visit.address(WARM + at))


def _get(client: Client, address: str) -> tuple[float, int]:
    began = time.perf_counter()
    answer = client.get(address)
    took = time.perf_counter() - began
    if answer.status_code not in {200, 302}:
        raise SystemExit(f"{address} answered {answer.status_code}")
    return took * 1000, len(answer.content)


class Counted:
    """Counts the statements of this thread's connection."""

    def __init__(self) -> None:
        self.statements = 0

    def __enter__(self) -> Counted:
        connection.execute_wrappers.append(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        connection.execute_wrappers.remove(self._count)

    def _count(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.statements += 1
        return execute(*arguments)


def main() -> None:
    loans = int(sys.argv[1])
    began = time.monotonic()
    fill(loans)
    sys.stderr.write(f"  {loans:,} loans written in {time.monotonic() - began:.0f} s\n")
    for visit in visits(loans):
        print(json.dumps(measure(visit)), flush=True)


if __name__ == "__main__":
    main()
