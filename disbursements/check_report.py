"""Puts the findings of a check into a table for people, or into JSON for machines."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import django
from django.conf import settings
from django.db import connection
from django.utils import timezone

from disbursements.checking import CheckReport
from partners.findings import Finding, Verdict

SCHEMA = "loanpoll.check/1"
SIGNS = {Verdict.OK: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗"}


def as_text(report: CheckReport, *, now: datetime) -> str:
    """Return the table."""
    width = max((len(finding.subject) for finding in report.findings), default=0)
    rows = [line for finding in report.findings for line in _lines(finding, width)]
    return "\n".join([_heading(now), "", *rows, "", _total(report)])


def _heading(now: datetime) -> str:
    return "   ".join(
        (
            f"Loan Poll {settings.SPECTACULAR_SETTINGS['VERSION']}",
            f"Django {django.get_version()}",
            f"Python {platform.python_version()}",
            connection.display_name,
            f"{timezone.localtime(now):%d %b %Y %H:%M} EAT",
        )
    )


def _lines(finding: Finding, width: int) -> Iterator[str]:
    yield f"  {SIGNS[finding.verdict]} {finding.subject:<{width}}  {finding.detail}"
    for label, text in (("Likely:", finding.likely), ("Fix:", finding.fix)):
        if text:
            yield f"    {'':<{width}}  {label:<7} {text}"


def _total(report: CheckReport) -> str:
    return (
        f"{report.count(Verdict.FAIL)} failed, {report.count(Verdict.WARN)} warnings, "
        f"{report.count(Verdict.OK)} passed in {report.seconds:.1f} s."
    )


def as_json(report: CheckReport, *, now: datetime) -> str:
    """Return the findings as one JSON document."""
    document = {
        "schema": SCHEMA,
        "at": timezone.localtime(now).isoformat(),
        "success": report.exit_code == 0,
        "exitCode": report.exit_code,
        "seconds": round(report.seconds, 3),
        "findings": [asdict(finding) for finding in report.findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
