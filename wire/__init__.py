"""The one function on the wire: one request, then one answer or one of two errors."""

from wire.answer import Answer
from wire.failure import NoAnswer, NotSent, WireError
from wire.sending import Wire, WireConfig

__all__ = ["Answer", "NoAnswer", "NotSent", "Wire", "WireConfig", "WireError"]
