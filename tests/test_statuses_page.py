"""The page of statuses names every word the tables can hold."""

from pathlib import Path

import pytest

from disbursements.models import AttemptStatus
from loans.models import HoldReason, LoanStatus, ReviewReason

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/statuses.md"
WORDS = [*LoanStatus, *AttemptStatus, *HoldReason, *ReviewReason]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}-{word.value}")
def test_the_page_explains_every_word(word):
    assert f"| `{word.value}` | {word.label} |" in PAGE.read_text()
