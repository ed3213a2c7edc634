"""Log lines: JSON or plain, with the request's id, and never a secret or a full phone number."""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")

SCRUBS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(/api/callbacks/[^/\s\"']+/)[^/\s\"'?]+"), r"\1[token]"),
    (re.compile(r"(/webhook/loan-approval/)[^/\s\"'?]+"), r"\1[token]"),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"), r"\1[secret]"),
    (
        re.compile(
            r"(?i)([\"']?(?:password|passkey|secret|access_token|SecurityCredential|consumer_?key)"
            r"[\"']?\s*[:=]\s*[\"']?)[^\s\"',&}]+"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?<![0-9])(254[17])[0-9]{5}([0-9]{3})(?![0-9])"), r"\1****\2"),
    (re.compile(r"(?<![0-9])(0[17][0-9]{2})[0-9]{3}([0-9]{3})(?![0-9])"), r"\1***\2"),
)


def scrub(text: str) -> str:
    """Return a log line without tokens, credentials and full phone numbers."""
    for pattern, instead in SCRUBS:
        text = pattern.sub(instead, text)
    return text


class PlainFormatter(logging.Formatter):
    """One readable line, for a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        request_id = current_request_id.get()
        named = f"{super().format(record)} [{request_id}]" if request_id else super().format(record)
        return scrub(named)


class JsonFormatter(logging.Formatter):
    """One JSON object per line. A caller cannot forge a second line: JSON escapes the line ends."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": current_request_id.get(),
            "msg": scrub(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = scrub(self.formatException(record.exc_info))
        return json.dumps({key: value for key, value in line.items() if value})
