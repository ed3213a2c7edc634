"""The worlds of the campaigns: two lenders, a few loans each, and which may be paid."""

from __future__ import annotations

from sandbox.calls import Json
from sandbox.control import SandboxControl
from sandbox.world import KINDS, SampleWorld, generate, partner_rows

LENDERS = ("lender1", "lender2")
SHORTCODES = {"lender1": "600001", "lender2": "600002"}
# Held for ever by their own nature, so no campaign may ever see them paid (S16).
UNPAYABLE = (
    *("cents", "group", "no_phone", "dollars", "other_product", "too_large", "topup", "savings"),
    *("two_numbers", "inactive_client", "fraud", "tranches"),
)


def lenders(*, loans: int = 6, seed: int = 1, unpayable: int = 1, tenants: int = 2) -> SampleWorld:
    """Return two lenders who share `loans` loans in turn; `unpayable` of them must stay unpaid."""
    start = seed % len(UNPAYABLE)
    kinds = (UNPAYABLE[start:] + UNPAYABLE[:start])[: max(unpayable, 1)]
    share = unpayable / loans if loans else 0
    return generate(tenants=tenants, loans=loans, seed=seed, unpayable_share=share, kinds=kinds)


def partner_rows_for(control: SandboxControl, columns: dict[str, object]) -> list[Json]:
    """Return both partners for `load_partners`, at a pace that does not slow a campaign."""
    document = lenders().document
    fast = {"mpesa_payments_per_second": "1000", "mifos_concurrency": 1}
    return partner_rows(document, control.mifos_url, **{**fast, **columns})


__all__ = [
    "KINDS",
    "LENDERS",
    "SHORTCODES",
    "UNPAYABLE",
    "SampleWorld",
    "lenders",
    "partner_rows_for",
]
