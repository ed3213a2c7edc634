"""Step 1: what Mifos X shows as approved becomes, and stays, our list of loans."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class PartnerFetch:
    """One partner's poll. Counts are loans; `error` is set when the partner could not be read."""

    partner: str  # name
    slug: str
    approved: int = 0  # rows in Mifos X that await disbursal
    new_loans: int = 0  # of those, seen for the first time
    cancelled: int = 0  # left Mifos X's waiting list before anything was sent
    seconds: float = 0.0
    error: str = ""
