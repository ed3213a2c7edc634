"""The filters of the list. Everything is in the address, so a view can be shared and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import or_
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from disbursements.pages.counting import NEEDS_APPROVAL, NEEDS_REVIEW, WAITS_FOR_FLOAT
from disbursements.pages.paging import SORTS
from disbursements.pages.searching import parse
from disbursements.reconcile.window import day_of
from loans.models import LoanStatus, LoanTracking
from partners.models import Partner

STATUS_LABELS = {
    "needs_review": "Needs review",
    "needs_approval": "Needs approval",
    "float_short": "Waits for float",
    "pending": "Pending",
    "processing": "Processing",
    "failed": "Failed",
    "disbursed": "Disbursed",
    "cancelled": "Cancelled",
}
STATUS_CONDITIONS = {
    "needs_review": NEEDS_REVIEW,
    "needs_approval": NEEDS_APPROVAL,
    "float_short": WAITS_FOR_FLOAT,
    "pending": Q(status=LoanStatus.PENDING),
    "processing": Q(status=LoanStatus.PROCESSING),
    "failed": Q(status=LoanStatus.FAILED),
    "disbursed": Q(status=LoanStatus.DISBURSED),
    "cancelled": Q(status=LoanStatus.CANCELLED),
}
# The stored words are taken, too: they are what operators know from the database.
STORED_WORDS = {
    LoanStatus.PENDING.value: "pending",
    LoanStatus.PROCESSING.value: "processing",
}
WHEN_LABELS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7days": "Last 7 days",
    "custom": "From … to …",
}
ON_LABELS = {"created": "Found", "paid": "Paid"}
ON_FIELDS = {"created": "created_at", "paid": "disbursed_at"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What the address asks for, checked. `ignored` says what of it was not understood."""

    q: str = ""
    statuses: tuple[str, ...] = ()
    partner: str = ""
    product: str = ""
    when: str = ""
    on: str = "created"
    start: date | None = None
    end: date | None = None
    sort: str = ""
    after: str = ""
    before: str = ""
    ignored: list[str] = field(default_factory=list)

    @property
    def narrows(self) -> bool:
        return bool(self.q or self.statuses or self.partner or self.product or self.when)

    def address(self, **changes: object) -> str:
        """Return the query string of these filters with `changes`, from the first page."""
        first_page = {"after": "", "before": ""}
        changed = replace(self, **{**first_page, **changes})  # type: ignore[arg-type]  # names of fields
        return f"?{urlencode(list(changed.parameters()))}"

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield the parameters that are set, in the order they are shown."""
        if self.q:
            yield "q", self.q
        yield from (("status", status) for status in self.statuses)
        for name in ("partner", "product", "when"):
            if value := getattr(self, name):
                yield name, value
        if self.when and self.on != "created":
            yield "on", self.on
        if self.when == "custom":
            yield from ((name, day.isoformat()) for name, day in self._days() if day)
        for name in ("sort", "after", "before"):
            if value := getattr(self, name):
                yield name, value

    def _days(self) -> tuple[tuple[str, date | None], tuple[str, date | None]]:
        return ("from", self.start), ("to", self.end)

    def narrow(self, loans: QuerySet[LoanTracking], *, now: datetime) -> QuerySet[LoanTracking]:
        """Return the loans of the status and the dates, within what `scope` left."""
        if self.statuses:
            loans = loans.filter(reduce(or_, (STATUS_CONDITIONS[one] for one in self.statuses)))
        return loans.filter(self._dates(now)) if self.when else loans

    def scope(self, loans: QuerySet[LoanTracking]) -> QuerySet[LoanTracking]:
        """Return the loans of the partner and the product: what the summary strip counts, too."""
        if self.partner:
            loans = loans.filter(partner_id__in=_partner_ids(self.partner))
        if self.product:
            slug, _, product_id = self.product.rpartition(":")
            loans = loans.filter(partner_id__in=_partner_ids(slug), product_id=int(product_id))
        return loans

    @property
    def lender(self) -> str:
        """The partner that all loans are of; empty = any."""
        return self.partner or self.product.rpartition(":")[0]

    def _dates(self, now: datetime) -> Q:
        first, last = self.days(now)
        name = ON_FIELDS[self.on]
        wanted = Q()
        if first:
            wanted &= Q(**{f"{name}__gte": _midnight(first)})
        if last:
            wanted &= Q(**{f"{name}__lt": _midnight(last + timedelta(days=1))})
        return wanted

    def days(self, now: datetime) -> tuple[date | None, date | None]:
        """Return the first and the last day asked for."""
        today = timezone.localtime(now).date()
        match self.when:
            case "today":
                return today, today
            case "yesterday":
                return today - timedelta(days=1), today - timedelta(days=1)
            case "7days":
                return today - timedelta(days=6), today
            case _:
                return self.start, self.end


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """One active filter, and the address without it."""

    text: str
    url: str


# `since`, `all` and `loan` are other views' of the same address.
KNOWN_NAMES = frozenset(
    {
        *("q", "status", "partner", "product", "when", "on", "from", "to", "sort"),
        *("after", "before", "since", "all", "loan"),
    }
)


def read_filters(query: QueryDict) -> Filters:
    """Return the filters that the address asks for. What is not understood is named, not obeyed."""
    ignored = [f"“{name[:40]}”" for name in query if name not in KNOWN_NAMES]
    q = " ".join(query.get("q", "").split())[:100]
    ignored += parse(q).ignored
    return Filters(
        q=q,
        statuses=_statuses(query.getlist("status"), ignored),
        partner=query.get("partner", "")[:50],
        product=_product(query.get("product", ""), ignored),
        when=_one_of(query.get("when", ""), WHEN_LABELS, "date", ignored),
        on=_one_of(query.get("on", ""), ON_LABELS, "kind of date", ignored) or "created",
        start=_day(query.get("from", ""), ignored),
        end=_day(query.get("to", ""), ignored),
        sort=_one_of(query.get("sort", ""), SORTS, "order", ignored),
        after=query.get("after", "")[:300],
        before=query.get("before", "")[:300],
        ignored=ignored,
    )


def chips(filters: Filters, partners: list[Partner]) -> list[Chip]:
    """Return the active filters in words, each with the address that removes it."""
    names = {partner.slug: partner.name for partner in partners}
    found = []
    if filters.q:
        found.append(Chip(text=f"Search: {filters.q}", url=filters.address(q="")))
    for status in filters.statuses:
        others = tuple(one for one in filters.statuses if one != status)
        text = f"Status: {STATUS_LABELS[status]}"
        found.append(Chip(text=text, url=filters.address(statuses=others)))
    if filters.partner:
        text = f"Partner: {names.get(filters.partner, filters.partner)}"
        found.append(Chip(text=text, url=filters.address(partner="", product="")))
    if filters.product:
        number = filters.product.rpartition(":")[2]
        found.append(Chip(text=f"Product: {number}", url=filters.address(product="")))
    if filters.when:
        found.append(Chip(text=_date_words(filters), url=filters.address(when="", on="created")))
    return found


def _date_words(filters: Filters) -> str:
    on = ON_LABELS[filters.on]
    if filters.when != "custom":
        return f"{on}: {WHEN_LABELS[filters.when].lower()}"
    parts = [f"{word} {day:%d %b %Y}" for word, day in filters._days() if day]
    return f"{on}: {' '.join(parts) or 'any day'}"


def _statuses(words: list[str], ignored: list[str]) -> tuple[str, ...]:
    """Return the statuses asked for, once each, in the order the page lists them."""
    asked = [STORED_WORDS.get(word, word) for text in words for word in text.split(",")]
    known = [_one_of(word, STATUS_LABELS, "status", ignored) for word in asked]
    return tuple(status for status in STATUS_LABELS if status in known)


def _one_of(word: str, known: object, what: str, ignored: list[str]) -> str:
    if word and word not in known:  # type: ignore[operator]  # any container of words
        ignored.append(f"{what} “{word[:40]}”")
        return ""
    return word


def _product(text: str, ignored: list[str]) -> str:
    slug, _, number = text.rpartition(":")
    if text and not (slug and number.isdecimal() and len(number) < 18):
        ignored.append(f"product “{text[:40]}”")
        return ""
    return text[:80]


def _day(text: str, ignored: list[str]) -> date | None:
    try:
        return day_of(text) if text else None
    except ValueError:
        ignored.append(f"date “{text[:40]}”")
        return None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _partner_ids(slug: str) -> QuerySet[Partner, int]:
    return Partner.objects.filter(slug=slug).values_list("id", flat=True)
