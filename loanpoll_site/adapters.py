"""psycopg's adapters, made ready before there are threads."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from psycopg import adapters
from psycopg.adapt import AdaptersMap, PyFormat

TYPES = (date, datetime, time, timedelta, Decimal, IPv4Address, IPv6Address, UUID)


def look_up_adapters(known: AdaptersMap = adapters) -> None:
    """Let psycopg replace the names of these types by the types, which it does at their first use.

    Two threads that use one for the first time at once get in each other's way there, and the
    second is told that the type cannot be adapted (psycopg 3.3.9, AdaptersMap.get_dumper).
    """
    for kind in TYPES:
        for form in PyFormat:
            known.get_dumper(kind, form)
