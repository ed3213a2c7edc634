"""Copies of the project: to be spoilt, or to be worked beside while a long run plays them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaigns.origin import PROJECT

NOT_COPIED = shutil.ignore_patterns(
    ".*_cache",
    ".git",
    ".venv*",
    ".demo",
    ".test",
    ".campaigns",
    ".hypothesis",
    "*.sqlite3*",
    "staticfiles",
)


@contextmanager
def copied_tree() -> Iterator[Path]:
    """Give a copy of the project that nobody else writes into."""
    with tempfile.TemporaryDirectory(prefix="loanpoll-tree-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(PROJECT, tree, ignore=NOT_COPIED, symlinks=True)
        yield tree
