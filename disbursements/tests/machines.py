"""What the tests of the machine doors share: a partner, keys, loans, and passes that do nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from disbursements import passes
from disbursements.models import ApiKey, DisbursementRequest
from disbursements.reports import (
    FetchReport,
    LoanOutcome,
    LoanReport,
    PartnerProcess,
    ProcessReport,
    SyncReport,
)
from loans.fetch import PartnerFetch
from loans.models import LoanTracking
from partners.models import Partner

AT = datetime(2026, 11, 23, 6, 40, 2, 114000, tzinfo=UTC)
PHONE = "254722123646"


def make_partner(slug: str = "umoja", **columns: Any) -> Partner:
    known = {"name": f"{slug.capitalize()} Sacco", "is_mifos_configured": True}
    return Partner.objects.create(slug=slug, **{**known, **columns})


def make_loan(partner: Partner, loan_id: int = 10491, **columns: Any) -> LoanTracking:
    known = {
        "client_name": "Kamau Peter",
        "phone_number": PHONE,
        "product_id": 3,
        "loan_amount": Decimal(8000),
        "net_disbursal_amount": Decimal(7900),
        "currency": "KES",
    }
    return LoanTracking.objects.create(partner=partner, loan_id=loan_id, **{**known, **columns})


def make_attempt(loan: LoanTracking, **columns: Any) -> DisbursementRequest:
    known = {
        "attempt_no": 1,
        "triggered_by": "api",
        "amount": Decimal(7900),
        "principal": Decimal(8000),
        "msisdn": PHONE,
        "mpesa_environment": "sandbox",
        "mpesa_shortcode": "600000",
        "originator_conversation_id": f"LP-{loan.pk}-{columns.get('attempt_no', 1)}",
        "mifos_external_id": f"lp-{loan.pk}-{columns.get('attempt_no', 1)}",
    }
    return DisbursementRequest.objects.create(
        loan_tracking=loan, partner=loan.partner, **{**known, **columns}
    )


def key_for(partner: Partner | None = None) -> str:
    _, key = ApiKey.objects.create_key(name="test", partner=partner)
    return str(key)


def bearing(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def post(path: str, body: Any = None, *, key: str = "") -> Any:
    headers = bearing(key) if key else {}
    client = Client(raise_request_exception=False)
    return client.post(path, data=body, content_type="application/json", headers=headers)


def get(path: str, *, key: str = "", **query: Any) -> Any:
    return Client(raise_request_exception=False).get(
        path, query, headers=bearing(key) if key else {}
    )


def loan_report(
    loan_id: int = 10491, outcome: LoanOutcome = LoanOutcome.PAID, **facts: Any
) -> LoanReport:
    known = {
        "partner": "umoja",
        "tracking_id": loan_id - 10000,
        "client_name": "Kamau Peter",
        "phone_number": PHONE,
        "amount": Decimal(8000),
    }
    return LoanReport(loan_id=loan_id, outcome=outcome, **{**known, **facts})


def fetched(slug: str = "umoja", **facts: Any) -> PartnerFetch:
    return PartnerFetch(partner=f"{slug.capitalize()} Sacco", slug=slug, **facts)


def processed(slug: str = "umoja", **facts: Any) -> PartnerProcess:
    return PartnerProcess(partner=f"{slug.capitalize()} Sacco", slug=slug, **facts)


@dataclass
class Passes:
    """Stands in for the passes: remembers what it was asked, and reports what it was told to."""

    fetch: FetchReport = field(default_factory=FetchReport)
    process: ProcessReport = field(default_factory=ProcessReport)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def run_fetch(self, **options: Any) -> FetchReport:
        self.asked.append(("fetch", options))
        return self.fetch

    def run_process(self, **options: Any) -> ProcessReport:
        self.asked.append(("process", options))
        return self.process

    def run_sync(self, **options: Any) -> SyncReport:
        self.asked.append(("sync", options))
        return SyncReport(
            run_id=8124, started_at=AT, finished_at=AT, fetch=self.fetch, process=self.process
        )


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Put a stand-in in the place of the passes and return it."""
    standing = Passes()
    for name in ("run_fetch", "run_process", "run_sync"):
        monkeypatch.setattr(passes, name, getattr(standing, name))
    return standing
