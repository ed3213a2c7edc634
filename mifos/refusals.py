"""The ways Mifos X can fail to do what was asked, each named after what to do next."""

from __future__ import annotations


class MifosError(Exception):
    """Something Mifos X did not do. Its text is one plain sentence for staff.

    `replayed` means that the stored outcome of the same idempotency key was repeated, and would be
    for ever: only a new key can change it (contracts/mifos.md 6).
    """

    def __init__(self, sentence: str = "", *, replayed: bool = False) -> None:
        super().__init__(sentence)
        self.replayed = replayed


class MifosUnreachable(MifosError):
    """No usable answer to a reading, or a write that provably did not leave. Try later."""


class MifosUnreadable(MifosUnreachable):
    """An answer came, and what it says cannot be used. Mostly that is one loan's own trouble."""


class MifosUncertain(MifosError):
    """A write may have been applied. Look at the loan before repeating anything."""


class MifosCredentials(MifosError):
    """User, password or tenant is refused. Stop for this partner until a person acts."""


class MifosRefused(MifosError):
    """Mifos X decided against it. `code` is Fineract's innermost code."""

    def __init__(
        self, sentence: str = "", *, code: str = "", http_status: int = 0, replayed: bool = False
    ) -> None:
        super().__init__(sentence, replayed=replayed)
        self.code = code
        self.http_status = http_status


class MifosNotFound(MifosRefused):
    """Mifos X says that what was asked for does not exist."""


class MifosNotAllowed(MifosRefused):
    """The user lacks the permission."""


class MifosBusy(MifosError):
    """The loan is locked, changed meanwhile, or the same request is still under way. Wait."""

    def __init__(
        self, sentence: str = "", *, code: str = "", http_status: int = 0, replayed: bool = False
    ) -> None:
        super().__init__(sentence, replayed=replayed)
        self.code = code
        self.http_status = http_status
