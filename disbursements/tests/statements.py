"""Counts what a page costs in database statements, leaving out what signing in costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

OF_SIGNING_IN = re.compile(r"django_session|auth_|otp_|axes_|SAVEPOINT")


@contextmanager
def at_most(number: int) -> Iterator[None]:
    """Fail when the page's own statements are more than `number`."""
    with CaptureQueriesContext(connection) as captured:
        yield
    own = [one["sql"] for one in captured if not OF_SIGNING_IN.search(one["sql"])]
    assert len(own) <= number, "\n".join([f"{len(own)} statements", *own])
