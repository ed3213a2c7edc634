"""No thread finds psycopg's adapters half looked up."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import connection
from psycopg import adapters
from psycopg.adapt import AdaptersMap

from loanpoll_site.adapters import TYPES, look_up_adapters


def names_in(known: AdaptersMap) -> set[str]:
    """Return the types that would still be looked up by name."""
    ours = {f"{kind.__module__}.{kind.__qualname__}" for kind in TYPES}
    return {key for kinds in known._dumpers.values() for key in kinds if key in ours}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only there at the start")
def test_no_type_of_ours_is_left_to_be_looked_up_by_the_first_thread():
    assert names_in(adapters) == set()


def test_psycopg_starts_with_their_names():
    # So long as this holds, looking them up early is needed.
    program = (
        "from psycopg import adapters as a; print([k for m in a._dumpers.values() for k in m])"
    )

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert "'ipaddress.IPv4Address'" in found
    assert "'decimal.Decimal'" in found


def test_looking_twice_is_harmless():
    look_up_adapters()
    look_up_adapters()

    assert names_in(adapters) == set()
