"""The figures behind the charts: each a table, in one statement, however many loans there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any

from django.db.models import Case, Count, Min, Q, QuerySet, Sum, When
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.counting import PAYOUT, start_of_today
from disbursements.pages.instants import LocalDay, Seconds
from disbursements.pages.wording import age, amount, counted, money
from loans.models import LoanStatus, LoanTracking
from mpesa.models import ResultCode

PAID = [AttemptStatus.PAID, AttemptStatus.COMPLETED]
# Upper edges in seconds. A percentile is read between two of them: no row leaves the database.
EDGES = (
    *(10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2700),
    *(3600, 7200, 14_400, 28_800, 86_400, 172_800, 604_800, 2_592_000),
)
BANDS = {
    "under 5 min": timedelta(0),
    "5 to 15 min": timedelta(minutes=5),
    "15 to 60 min": timedelta(minutes=15),
    "1 to 24 h": timedelta(hours=1),
    "over a day": timedelta(days=1),
}
MOST_CAUSES = 8
WEEK = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A number of a table: `value` for the chart (empty = no point), `text` for the reader."""

    value: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One chart and its data table. `said` is what it shows, in a sentence."""

    key: str
    title: str
    said: str
    kind: str
    head: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    hint: str = ""

    @property
    def is_empty(self) -> bool:
        return not any(cell.value not in {"", "0"} for _, cells in self.rows for cell in cells)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """Whole days in Nairobi, the last of them today."""

    days: int
    now: datetime

    @property
    def start(self) -> datetime:
        return start_of_today(self.now) - timedelta(days=self.days - 1)

    @property
    def dates(self) -> list[date]:
        today = timezone.localtime(self.now).date()
        return [today - timedelta(days=back) for back in range(self.days - 1, -1, -1)]

    @property
    def labels(self) -> list[str]:
        return [f"{day.day} {day:%b}" for day in self.dates]


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidDay:
    """What was paid on one day."""

    count: int = 0
    money: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SentDay:
    """What became of the attempts begun on one day; `times` are counts per bucket of EDGES."""

    paid: int
    failed: int
    times: list[int]


def figures_of(
    loans: QuerySet[LoanTracking], attempts: QuerySet[DisbursementRequest], period: Period
) -> list[Figure]:
    """Return every figure, in five statements."""
    paid, sent = _paid_days(loans, period), _sent_days(attempts, period)
    return [
        _volume(paid, period),
        _value(paid, period),
        _success(sent, period),
        _times(sent, period),
        _backlog(loans, period),
        _causes(attempts, period),
    ]


def _paid_days(loans: QuerySet[LoanTracking], period: Period) -> dict[date, PaidDay]:
    paid = loans.filter(disbursed_at__gte=period.start).order_by()
    days = paid.values(day=LocalDay("disbursed_at")).annotate(
        count=Count("id"), money=Sum(PAYOUT, filter=Q(currency="KES"))
    )
    return {
        row["day"]: PaidDay(count=row["count"], money=row["money"] or Decimal(0))
        for row in days.iterator()
    }


def _sent_days(attempts: QuerySet[DisbursementRequest], period: Period) -> dict[date, SentDay]:
    begun = attempts.filter(created_at__gte=period.start).order_by()
    groups: Any = begun.values(day=LocalDay("created_at"), edge=_edge()).annotate(
        paid=Count("id", filter=Q(status__in=PAID)),
        failed=Count("id", filter=Q(status=AttemptStatus.FAILED)),
        all=Count("id"),
    )
    days: dict[date, list[Any]] = {}
    for row in groups.iterator():
        days.setdefault(row["day"], []).append(row)
    return {day: _sent_day(rows) for day, rows in days.items()}


def _edge() -> Case:
    """Return the edge below which an attempt was paid, counted from when its loan was found."""
    took = Seconds("paid_at") - Seconds("loan_tracking__created_at")
    return Case(*(When(Q(LessThanOrEqual(took, edge)), then=edge) for edge in EDGES))


def _sent_day(rows: list[Any]) -> SentDay:
    return SentDay(
        paid=sum(row["paid"] for row in rows),
        failed=sum(row["failed"] for row in rows),
        times=[sum(row["all"] for row in rows if (row["edge"] or inf) <= edge) for edge in EDGES],
    )


def _volume(paid: dict[date, PaidDay], period: Period) -> Figure:
    counts = [paid.get(day, PaidDay()).count for day in period.dates]
    return Figure(
        key="volume",
        title="Loans paid per day",
        said=f"{counted(sum(counts), 'loan')} in {period.days} days, {counts[-1]:,} of them today.",
        kind="bar",
        head="Day",
        columns=["Loans"],
        rows=[
            (label, [Cell(value=str(count), text=f"{count:,}")])
            for label, count in zip(period.labels, counts, strict=True)
        ],
        hint="Today is not over yet.",
    )


def _value(paid: dict[date, PaidDay], period: Period) -> Figure:
    sums = [paid.get(day, PaidDay()).money for day in period.dates]
    total = sum(sums, Decimal(0))
    return Figure(
        key="value",
        title="Money paid per day",
        said=f"{money(total)} in {period.days} days, {money(sums[-1])} of it today.",
        kind="bar",
        head="Day",
        columns=["KSh"],
        rows=[
            (label, [Cell(value=f"{value:.2f}" if value else "0", text=amount(value))])
            for label, value in zip(period.labels, sums, strict=True)
        ],
        hint="Today is not over yet. Only loans in shillings are counted.",
    )


def _success(sent: dict[date, SentDay], period: Period) -> Figure:
    none = SentDay(paid=0, failed=0, times=[])
    days = [sent.get(day, none) for day in period.dates]
    rows = [
        (label, list(_success_cells(days[max(0, at - WEEK + 1) : at + 1])))
        for at, label in enumerate(period.labels)
    ]
    paid, failed = sum(day.paid for day in days), sum(day.failed for day in days)
    return Figure(
        key="success",
        title="Attempts that paid",
        said=f"{_share(paid, paid + failed)} of {counted(paid + failed, 'settled attempt')} paid."
        if paid + failed
        else "No attempt was settled.",
        kind="percent",
        head="7 days to",
        columns=["Paid, %", "Paid", "Settled"],
        rows=rows,
        hint="Over the seven days that end on each day. Held loans are not attempts.",
    )


def _success_cells(week: list[SentDay]) -> Iterator[Cell]:
    paid, failed = sum(day.paid for day in week), sum(day.failed for day in week)
    settled = paid + failed
    yield Cell(value=f"{paid / settled * 100:.2f}" if settled else "", text=_share(paid, settled))
    # The chart is the share alone; these two stand in its table.
    yield Cell(value="", text=f"{paid:,}")
    yield Cell(value="", text=f"{settled:,}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole * 100:.1f} %" if whole else "–"


def _times(sent: dict[date, SentDay], period: Period) -> Figure:
    times = [sent[day].times if day in sent else [] for day in period.dates]
    everything = [sum(one) for one in zip(*(each for each in times if each), strict=True)]
    half, most = percentile(everything, 0.5), percentile(everything, 0.95)
    said = "Nothing was paid."
    if half is not None and most is not None:
        said = f"Half within {_duration(half)}, 95 % within {_duration(most)}."
    return Figure(
        key="time",
        title="From found to the phone",
        said=said,
        kind="time",
        head="Sent on",
        columns=["Half within (p50)", "95 % within (p95)"],
        rows=[
            (label, [_time_cell(percentile(each, part)) for part in (0.5, 0.95)])
            for label, each in zip(period.labels, times, strict=True)
        ],
        hint="From the poll that found the approved loan to M-Pesa's payment. Mifos X tells the "
        "day of an approval, not its hour. Loans that still wait are not in it: see the backlog.",
    )


def percentile(below: list[int], part: float) -> float | None:
    """Return the seconds within which `part` of the loans were paid; `below` counts per EDGES."""
    total = below[-1] if below else 0
    if not total:
        return None
    wanted, edge_before, count_before = total * part, 0.0, 0
    for edge, count in zip(EDGES, below, strict=True):
        if count >= wanted:
            return edge_before + (edge - edge_before) * (wanted - count_before) / (
                count - count_before
            )
        edge_before, count_before = float(edge), count
    return float(EDGES[-1])


def _time_cell(seconds: float | None) -> Cell:
    if seconds is None:
        return Cell(value="", text="–")
    return Cell(value=f"{seconds:.1f}", text=_duration(seconds))


def _duration(seconds: float) -> str:
    return age(timedelta(seconds=seconds))


def _backlog(loans: QuerySet[LoanTracking], period: Period) -> Figure:
    open_loans = loans.filter(status__in=[LoanStatus.PENDING, LoanStatus.PROCESSING])
    counts: dict[str, Any] = {}
    for number, inside in enumerate(_bands(period.now)):
        counts[f"count_{number}"] = Count("id", filter=inside)
        counts[f"money_{number}"] = Sum(PAYOUT, filter=inside & Q(currency="KES"))
    found = open_loans.aggregate(oldest=Min("created_at"), **counts)
    total = sum(found[f"count_{number}"] for number in range(len(BANDS)))
    oldest = f", the oldest for {age(period.now - found['oldest'])}" if found["oldest"] else ""
    return Figure(
        key="backlog",
        title="Backlog by age, now",
        said=f"{counted(total, 'loan waits', 'loans wait')}{oldest}.",
        kind="bar",
        head="Waiting",
        columns=["Loans", "KSh"],
        rows=[
            (band, _counted(found[f"count_{number}"], found[f"money_{number}"]))
            for number, band in enumerate(BANDS)
        ],
    )


def _bands(now: datetime) -> Iterator[Q]:
    youngest = [now - since for since in BANDS.values()]
    for start, end in zip(youngest, [*youngest[1:], None], strict=True):
        yield Q(created_at__lte=start, **({"created_at__gt": end} if end else {}))


def _counted(count: int, total: Decimal | None) -> list[Cell]:
    """Return a count, which the chart shows, and its money, which stands in the table."""
    return [
        Cell(value=str(count), text=f"{count:,}"),
        Cell(value="", text=amount(total or Decimal(0))),
    ]


def _causes(attempts: QuerySet[DisbursementRequest], period: Period) -> Figure:
    failed = attempts.filter(created_at__gte=period.start, status=AttemptStatus.FAILED).order_by()
    causes: Any = failed.values("result_code").annotate(count=Count("id"), money=Sum("amount"))
    found = sorted(causes.iterator(), key=lambda row: -row["count"])
    words = {code.code: code.meaning for code in ResultCode.objects.all()}
    shown = [(_cause(row["result_code"], words), row) for row in found[:MOST_CAUSES]]
    if rest := found[MOST_CAUSES:]:
        others = {key: sum(row[key] for row in rest) for key in ("count", "money")}
        shown.append(("Other causes", {"result_code": "", **others}))
    total = sum(row["count"] for row in found)
    return Figure(
        key="causes",
        title="Failed attempts by cause",
        said=f"{counted(total, 'attempt')} failed in {period.days} days.",
        kind="sideways",
        head="Cause",
        columns=["Attempts", "KSh"],
        rows=[(label, _counted(row["count"], row["money"])) for label, row in shown],
    )


def _cause(code: str, words: dict[str, str]) -> str:
    if not code:
        return "Refused before it was sent"
    return f"{code}: {words[code]}" if code in words else f"Code {code}"
