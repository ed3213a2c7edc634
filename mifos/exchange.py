"""One HTTP exchange with Mifos X, as it may be kept: what was asked, how it ended, no secret."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LONGEST_EXCERPT = 600
LOAN_IN_PATH = re.compile(r"/loans/(\d{1,18})(?:/|$)")
# Account and phone numbers, whatever their form: the middle is never kept.
GAPPED_PHONE = re.compile(r"(?<!\d)(\+?254|0)[ -]?[17](?:[ -]?\d){5}[ -]?(\d(?:[ -]?\d){2})(?!\d)")
LONG_NUMBER = re.compile(r"(?<!\d)(\+?\d{3})\d{3,}(\d{3})(?!\d)")


class Ending(StrEnum):
    """How far a request came (wire/failure.py)."""

    ANSWERED = "answered"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request and what came of it. `path` has no host and no query but `command`."""

    method: str
    path: str
    command: str
    started_at: datetime
    seconds: float
    ending: Ending
    status: int | None = None
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def loan_id(self) -> int | None:
        """Return the Mifos X loan that it is about, if its path names one."""
        found = LOAN_IN_PATH.search(self.path)
        return int(found[1]) if found else None

    @property
    def is_worth_keeping(self) -> bool:
        """An order always is; a question only when it was not answered as it should be."""
        orders = self.method != "GET" and self.path != "/authentication"
        return orders or self.status != 200

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the answer's body, to compare with what Mifos X's log holds."""
        return hashlib.sha256(self.body).hexdigest() if self.body else ""

    @property
    def excerpt(self) -> str:
        """Return the start of the answer, without our credentials and without whole numbers."""
        text = self.body[: 4 * LONGEST_EXCERPT].decode("utf-8", "replace").replace("\0", "")
        for secret in self.secrets:
            text = text.replace(secret, "***") if secret else text
        text = LONG_NUMBER.sub(r"\1***\2", text)
        return GAPPED_PHONE.sub(r"\1***\2", text)[:LONGEST_EXCERPT]


Keep = Callable[[Exchange], None]


def keep_nothing(exchange: Exchange) -> None:
    """What a client does with an exchange when nobody asked to have it."""
