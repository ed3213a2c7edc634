"""Runs the product with its statements counted: `python -m bench.counted COMMAND …`, or as WSGI.

The counts are written to the file named in BENCH_COUNTS, one JSON object for each process.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created

statements = itertools.count()
texts: Counter[str] = Counter()


def count_statements() -> None:
    """Count each statement of this process from now on; write the number when it ends."""
    connection_created.connect(_watch, weak=False)
    atexit.register(_write)


def _watch(connection: Any, **_: Any) -> None:
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


def _count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    next(statements)
    texts[sql[:160]] += 1
    return execute(sql, params, many, context)


def _write() -> None:
    # The context of a counted process may be forked: each child writes under its own name.
    path = Path(os.environ["BENCH_COUNTS"]).with_suffix(f".{os.getpid()}")
    path.write_text(json.dumps({"statements": next(statements), "texts": dict(texts)}))


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Serve the site; the first request starts the counting."""
    global _application
    if _application is None:
        count_statements()
        _application = get_wsgi_application()
    return _application(environ, start_response)


_application: Any = None

if __name__ == "__main__":
    django.setup()
    count_statements()
    execute_from_command_line(["manage.py", *sys.argv[1:]])
