"""Metrics for Prometheus, counted from the database at each scrape: every process says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from rest_framework.exceptions import AuthenticationFailed

from disbursements.api.callers import bearer, caller_of_key
from disbursements.models import AttemptStatus, DisbursementRequest, SyncRun
from loans.models import LoanStatus, LoanTracking
from mpesa.models import MpesaCallback, Shortcode
from partners.models import Partner

OUTCOMES = {
    AttemptStatus.PAID: "paid",
    AttemptStatus.COMPLETED: "paid",
    AttemptStatus.FAILED: "failed",
}
BUCKETS_SECONDS = (30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer 404 until METRICS_TOKEN is set, and 401 without that token or an unbound API key."""
    if not settings.METRICS_TOKEN:
        return HttpResponseNotFound()
    if not _may_read(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(DatabaseCollector(now=timezone.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class DatabaseCollector(Collector):
    """Everything that can be counted from the tables. Labels are few: no loan, phone or client."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from counted()
        yield oldest_pending(self.now)


def build_info() -> Metric:
    version = str(settings.SPECTACULAR_SETTINGS["VERSION"])
    family = GaugeMetricFamily("loanpoll_build_info", "The version.", labels=["version"])
    family.add_metric([version], 1)
    return family


def loans_by_status() -> Metric:
    family = GaugeMetricFamily("loanpoll_loans", "Loans.", labels=["partner", "status"])
    rows = LoanTracking.objects.values_list("partner__slug", "status").annotate(Count("id"))
    for slug, status, number in rows.order_by():
        family.add_metric([slug, status], number)
    return family


def loans_in_review() -> Metric:
    family = GaugeMetricFamily(
        "loanpoll_loans_in_review", "Loans that need a person.", labels=["partner", "reason"]
    )
    rows = LoanTracking.objects.exclude(review_reason="").values_list(
        "partner__slug", "review_reason"
    )
    for slug, reason, number in rows.annotate(Count("id")).order_by():
        family.add_metric([slug, reason], number)
    return family


def payouts() -> Iterator[Metric]:
    count = CounterMetricFamily(
        "loanpoll_payouts", "Attempts with a verdict.", labels=["partner", "outcome"]
    )
    amount = CounterMetricFamily(
        "loanpoll_payout_amount_kes", "KES that M-Pesa confirmed.", labels=["partner"]
    )
    is_paid = Q(status__in=[AttemptStatus.PAID, AttemptStatus.COMPLETED])
    rows = DisbursementRequest.objects.values_list("partner__slug").annotate(
        paid=Count("id", filter=is_paid),
        failed=Count("id", filter=Q(status=AttemptStatus.FAILED)),
        kes=Sum("amount", filter=is_paid),
    )
    for slug, paid, failed, kes in rows.order_by():
        count.add_metric([slug, "paid"], paid)
        count.add_metric([slug, "failed"], failed)
        amount.add_metric([slug], float(kes or 0))
    yield count
    yield amount


def open_payouts() -> Metric:
    family = GaugeMetricFamily(
        "loanpoll_open_payouts", "Attempts without a verdict.", labels=["partner", "status"]
    )
    undecided = DisbursementRequest.objects.exclude(status__in=list(OUTCOMES))
    rows = undecided.values_list("partner__slug", "status").annotate(Count("id"))
    for slug, status, number in rows.order_by():
        family.add_metric([slug, status], number)
    return family


def time_to_disburse() -> Metric:
    """From first seen here to verified in Mifos X."""
    took = ExpressionWrapper(F("disbursed_at") - F("created_at"), output_field=DurationField())
    done = LoanTracking.objects.filter(disbursed_at__isnull=False).annotate(took=took)
    limits = {
        f"le_{seconds}": Count("id", filter=Q(took__lte=timedelta(seconds=seconds)))
        for seconds in BUCKETS_SECONDS
    }
    numbers = done.aggregate(everything=Count("id"), total=Sum("took"), **limits)
    buckets = [(str(float(seconds)), numbers[f"le_{seconds}"]) for seconds in BUCKETS_SECONDS]
    total = numbers["total"].total_seconds() if numbers["total"] else 0.0
    return HistogramMetricFamily(
        "loanpoll_time_to_disburse_seconds",
        "From first seen to recorded in Mifos X.",
        buckets=[*buckets, ("+Inf", numbers["everything"])],
        sum_value=total,
    )


def oldest_pending(now: datetime) -> Metric:
    family = GaugeMetricFamily(
        "loanpoll_oldest_pending_age_seconds", "Age of the oldest unpaid loan.", labels=["partner"]
    )
    pending = LoanTracking.objects.filter(status=LoanStatus.PENDING).values_list("partner__slug")
    for slug, oldest in pending.annotate(Min("created_at")).order_by():
        family.add_metric([slug], (now - oldest).total_seconds())
    return family


def last_polls() -> Metric:
    family = GaugeMetricFamily(
        "loanpoll_last_successful_poll_timestamp_seconds", "Unix time.", labels=["partner"]
    )
    polled = Partner.objects.filter(is_active=True)
    for slug, at in polled.values_list("slug", "last_poll_succeeded_at"):
        if at is not None:
            family.add_metric([slug], at.timestamp())
    return family


def floats() -> Metric:
    family = GaugeMetricFamily(
        "loanpoll_float_kes", "Utility account, when last seen.", labels=["partner"]
    )
    seen = {
        (environment, code): balance
        for environment, code, balance in Shortcode.objects.values_list(
            "environment", "shortcode", "utility_balance"
        )
        if balance is not None
    }
    rows = Partner.objects.values_list("slug", "mpesa_environment", "mpesa_shortcode")
    for slug, environment, code in rows:
        if (environment, code) in seen:
            family.add_metric([slug], float(seen[environment, code]))
    return family


def runs() -> Metric:
    family = CounterMetricFamily("loanpoll_runs", "Finished passes.", labels=["result"])
    finished = SyncRun.objects.filter(success__isnull=False).values_list("success")
    for success, number in finished.annotate(Count("id")).order_by():
        family.add_metric(["success" if success else "failure"], number)
    return family


def callbacks() -> Iterator[Metric]:
    count = CounterMetricFamily(
        "loanpoll_callbacks", "Callbacks kept.", labels=["kind", "quarantined"]
    )
    rows = MpesaCallback.objects.values_list("kind", "is_quarantined").annotate(Count("id"))
    for kind, quarantined, number in rows.order_by():
        count.add_metric([kind, "yes" if quarantined else "no"], number)
    yield count
    unread = MpesaCallback.objects.filter(applied_at=None).count()
    yield GaugeMetricFamily("loanpoll_callbacks_unread", "Kept, not yet applied.", value=unread)


def counted() -> Iterator[Metric]:
    """Return every family that needs no clock."""
    single: tuple[Callable[[], Metric], ...] = (
        build_info,
        loans_by_status,
        loans_in_review,
        open_payouts,
        time_to_disburse,
        last_polls,
        floats,
        runs,
    )
    yield from (family() for family in single)
    yield from payouts()
    yield from callbacks()


def _may_read(request: HttpRequest) -> bool:
    try:
        credential = bearer(request.headers.get("Authorization"))
    except AuthenticationFailed:
        return False
    if credential is None:
        return False
    if constant_time_compare(credential, settings.METRICS_TOKEN):
        return True
    caller = caller_of_key(credential)
    # A key of one partner must not see the others' numbers.
    return caller is not None and caller.partner is None
