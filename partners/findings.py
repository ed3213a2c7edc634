"""What a check of the installation or of a partner found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the table. `fix` names a command or a page; it is empty when all is well."""

    subject: str
    verdict: Verdict
    detail: str
    likely: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """Makes the findings about one subject."""

    subject: str

    def ok(self, detail: str) -> Finding:
        return Finding(subject=self.subject, verdict=Verdict.OK, detail=detail)

    def warn(self, detail: str, *, likely: str = "", fix: str) -> Finding:
        return Finding(
            subject=self.subject, verdict=Verdict.WARN, detail=detail, likely=likely, fix=fix
        )

    def fail(self, detail: str, *, likely: str = "", fix: str) -> Finding:
        return Finding(
            subject=self.subject, verdict=Verdict.FAIL, detail=detail, likely=likely, fix=fix
        )
