"""What can be set on the whole sandbox while it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(slots=True)
class Options:
    """Seconds are floats; every field can be set over HTTP."""

    seed: int = 1
    mifos_latency: float = 0.0
    mpesa_latency: float = 0.0
    callback_delay: float = 0.2
    query_delay: float | None = None  # status and balance results; None = as callback_delay
    callback_timeout: float = 15.0
    hold_callbacks: bool = False
    index_delay: float = 0.0  # a status query before this answers 2033 (contracts/mpesa.md 11.1)
    index_age: float | None = None  # and after this again
    token_life: float = 3599.0
    expires_in_number: bool = False
    empty_oauth_errors: bool = True
    credential_attempts: int = 3  # wrong ones before 8006
    scenarios: bool = False
    quirks: bool = True  # rotate the shapes of results (contracts/mpesa.md 5.1)
    refuse_url_words: bool = False
    hook_delay: float = 0.0
    page_order: bool = True  # shuffle a list without orderBy (contracts/mifos.md 2.2)

    @property
    def result_delay(self) -> float:
        return self.callback_delay if self.query_delay is None else self.query_delay

    def update(self, changes: dict[str, Any]) -> None:
        """Set fields by name. Raises KeyError for an unknown one."""
        known = {item.name for item in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise KeyError(f"no option {name}")
            setattr(self, name, value)
