"""The two ways a request can fail, told apart by whether anything of it may have left."""

from __future__ import annotations


class WireError(Exception):
    """A request had no usable answer. The text names the host and the kind of fault only."""


class NotSent(WireError):
    """Provably nothing of the request left this machine. It may be sent again."""


class NoAnswer(WireError):
    """The request, or a part of it, may have arrived. Never repeat blindly: ask."""
