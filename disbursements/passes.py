"""The passes: the steps in order, for every partner at once. Cron, the API and people call."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from disbursements.alerts.attending import attended
from disbursements.models import (
    OPEN_STATES,
    AttemptStatus,
    DisbursementRequest,
    SyncRun,
    TriggeredBy,
)
from disbursements.rehearse import rehearse_for
from disbursements.reports import FetchReport, PartnerProcess, ProcessReport, SyncReport
from disbursements.serve import Orders, fetch_for, process_for
from disbursements.settle import apply_left_over_callbacks
from loans.fetch import PartnerFetch, fetch_one
from mifos.client import MifosError
from partners.gateways import NotConfigured, mifos_client
from partners.models import Partner
from partners.overlap import overlap

logger = logging.getLogger(__name__)
MOST_PARTNERS_AT_ONCE = 32


def run_fetch(
    *,
    triggered_by: TriggeredBy,
    partners: Sequence[str] = (),
    budget_seconds: float | None = None,
) -> FetchReport:
    """Steps 1 and 2 for the partners with these slugs (none named = all active ones)."""
    orders = _orders(triggered_by, budget_seconds=budget_seconds)
    chosen = _polled(_chosen(partners), partners)
    run = _begin("fetch", triggered_by)

    def fetch(partner: Partner) -> PartnerFetch:
        return fetch_for(partner, deadline=orders.deadline)

    report = FetchReport(results=_in_order(overlap(fetch, chosen, workers=_workers(chosen))))
    _end(run, success=report.success, summary={"fetch": [asdict(each) for each in report.results]})
    return report


def run_process(
    *,
    triggered_by: TriggeredBy,
    partners: Sequence[str] = (),
    loan_id: int | None = None,
    limit: int | None = None,
    budget_seconds: float | None = None,
    dry_run: bool = False,
) -> ProcessReport:
    """Steps 3 to 5. `budget_seconds` stops taking new work; `dry_run` reads, and writes nothing."""
    orders = _orders(triggered_by, loan_id=loan_id, limit=limit, budget_seconds=budget_seconds)
    chosen = _chosen(partners)
    if dry_run:
        return _rehearsal(_polled(chosen, partners), orders, fetches=False)
    run = _begin("process", triggered_by)
    apply_left_over_callbacks(serving(), now=orders.started_at)

    def process(partner: Partner) -> PartnerProcess:
        return process_for(partner, orders)

    report = ProcessReport(results=_in_order(overlap(process, chosen, workers=_workers(chosen))))
    _end(run, success=report.success, summary={"process": [_told(each) for each in report.results]})
    return report


@attended
def run_sync(
    *,
    triggered_by: TriggeredBy,
    partners: Sequence[str] = (),
    budget_seconds: float | None = None,
    wait_seconds: float = 0,
    dry_run: bool = False,
) -> SyncReport:
    """One whole pass. `wait_seconds` lingers for callbacks, to record what was paid."""
    orders = _orders(triggered_by, budget_seconds=budget_seconds, wait_seconds=wait_seconds)
    chosen = _chosen(partners)
    if dry_run:
        rehearsal = _rehearsal(_polled(chosen, partners), orders, fetches=True)
        return _sync_report(None, orders.started_at, FetchReport(), rehearsal)
    run = _begin("sync", triggered_by)
    apply_left_over_callbacks(serving(), now=orders.started_at)

    def sync(partner: Partner) -> tuple[PartnerFetch | None, PartnerProcess]:
        # A partner goes on to its payments as soon as its own poll is done: none waits for another.
        fetches = is_polled(partner, partners)
        fetched = fetch_for(partner, deadline=orders.fetches_until) if fetches else None
        return fetched, process_for(partner, orders)

    pairs = list(overlap(sync, chosen, workers=_workers(chosen)))
    report = _sync_report(
        run.pk,
        orders.started_at,
        FetchReport(results=_in_order(fetched for fetched, _ in pairs if fetched)),
        ProcessReport(results=_in_order(processed for _, processed in pairs)),
    )
    _end(run, success=report.success, summary=_summary(report))
    return report


def run_hook(*, partner_id: int, loan_id: int) -> None:
    """Look at one loan now: fetch it, and pay it if it may be paid. Raises nothing of Mifos X's."""
    partner = serving().filter(pk=partner_id, is_active=True, is_mifos_configured=True).first()
    if partner is None:
        return
    try:
        fetch_one(partner, mifos_client(partner), loan_id, now=timezone.now())
    except (MifosError, NotConfigured) as exc:
        logger.warning("hook for loan %s of %s: %s", loan_id, partner.slug, exc)
        return
    process_for(partner, _orders(TriggeredBy.HOOK, loan_id=loan_id))


def _orders(
    triggered_by: TriggeredBy,
    *,
    loan_id: int | None = None,
    limit: int | None = None,
    budget_seconds: float | None = None,
    wait_seconds: float = 0,
) -> Orders:
    return Orders(
        triggered_by=triggered_by,
        started_at=timezone.now(),
        loan_id=loan_id,
        limit=limit,
        deadline=None if budget_seconds is None else time.monotonic() + budget_seconds,
        wait_seconds=wait_seconds,
    )


def serving() -> QuerySet[Partner]:
    """Return the partners with work to do: one that is switched off, or no longer configured, too
    while a payment of its is open."""
    polled = Q(is_active=True, is_mifos_configured=True)
    return Partner.objects.prefetch_related("products").filter(polled | _has_open_payments())


def _has_open_payments() -> Exists:
    attempts = DisbursementRequest.objects.filter(partner=OuterRef("pk"))
    # By name: no index answers "is not", and this would read all that the partner ever paid.
    return Exists(attempts.filter(status__in=[*OPEN_STATES, AttemptStatus.PAID]))


def is_polled(partner: Partner, named: Sequence[str] = ()) -> bool:
    """Is its waiting list read? What was sent before is seen through all the same.

    One that is `named` is told what its settings lack, and not left out in silence.
    """
    return partner.is_active and (partner.is_mifos_configured or partner.slug in named)


def _chosen(slugs: Sequence[str]) -> list[Partner]:
    partners = serving()
    if slugs:
        named = Partner.objects.prefetch_related("products").filter(slug__in=slugs)
        partners = named.filter(Q(is_active=True) | _has_open_payments())
    # Whoever waited longest goes first: a budget must not always leave out the same ones.
    return list(partners.order_by(F("last_polled_at").asc(nulls_first=True), "name"))


def _polled(partners: Sequence[Partner], named: Sequence[str]) -> list[Partner]:
    return [partner for partner in partners if is_polled(partner, named)]


def _workers(partners: Sequence[Partner]) -> int:
    return max(1, min(len(partners), MOST_PARTNERS_AT_ONCE))


def _in_order(results: Any) -> list[Any]:
    return sorted(results, key=lambda result: result.slug)


def _rehearsal(partners: list[Partner], orders: Orders, *, fetches: bool) -> ProcessReport:
    def rehearse(partner: Partner) -> PartnerProcess:
        return rehearse_for(partner, orders, fetches=fetches)

    return ProcessReport(results=_in_order(overlap(rehearse, partners, workers=_workers(partners))))


def _sync_report(
    run_id: int | None, started_at: datetime, fetch: FetchReport, process: ProcessReport
) -> SyncReport:
    return SyncReport(
        run_id=run_id,
        started_at=started_at,
        finished_at=timezone.now(),
        fetch=fetch,
        process=process,
    )


def _begin(command: str, triggered_by: TriggeredBy) -> SyncRun:
    return SyncRun.objects.create(
        command=command, triggered_by=triggered_by, started_at=timezone.now()
    )


def _end(run: SyncRun, *, success: bool, summary: dict[str, Any]) -> None:
    SyncRun.objects.filter(pk=run.pk).update(
        finished_at=timezone.now(), success=success, summary=summary
    )


def _summary(report: SyncReport) -> dict[str, Any]:
    return {
        "fetch": [asdict(each) for each in report.fetch.results],
        "process": [_told(each) for each in report.process.results],
    }


def _told(result: PartnerProcess) -> dict[str, Any]:
    """Keep counts of a pass, not its loans: those have their own history."""
    told = asdict(result)
    told["loans"] = len(result.loans)
    return told
