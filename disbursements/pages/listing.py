"""`/loan-tracking`: the list, its summary strip and its live refresh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from disbursements.pages.actions import Kind, bulk_actions
from disbursements.pages.counting import Total, totals
from disbursements.pages.desk import frame, poll_minutes
from disbursements.pages.door import staff_page
from disbursements.pages.filtering import (
    ON_LABELS,
    STATUS_LABELS,
    WHEN_LABELS,
    Filters,
    chips,
    read_filters,
)
from disbursements.pages.float_card import float_of
from disbursements.pages.paging import PAGE_SIZE, Page, read_page
from disbursements.pages.rows import Row, row_html, rows_of
from disbursements.pages.saving import views_of
from disbursements.pages.scope import User, visible_loans
from disbursements.pages.searching import search
from disbursements.pages.standing import Standing, standings
from disbursements.pages.wording import age, counted, money, payout
from loans.models import LoanTracking
from partners.models import LoanProductAutoDisbursalConfig

VIEW_LOANS = "loans.view_loantracking"
# The card, its label, its icon, and the filter that shows the very loans it counts.
CARDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "needs_review": ("Needs review", "triangle", {"statuses": ("needs_review",)}),
    "pending": ("Pending", "clock", {"statuses": ("pending",)}),
    "processing": ("Processing", "arrows", {"statuses": ("processing",)}),
    "failed": ("Failed", "cross", {"statuses": ("failed",)}),
    "disbursed_today": (
        "Disbursed today",
        "tick",
        {"statuses": ("disbursed",), "when": "today", "on": "paid"},
    ),
    "float": ("Float", "wallet", {"statuses": ("float_short",)}),
}
# Column, its order when pressed first, and when pressed again.
COLUMNS = {
    "status": ("status", "-status"),
    "amount": ("highest", "lowest"),
    "age": ("oldest", "newest"),
}
DOWNWARD = {"oldest", "highest", "-status"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One card of the summary strip; all of it is one link."""

    key: str
    label: str
    icon: str
    count: str
    money: str
    oldest: str
    url: str
    chosen: bool
    empty: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A column that can be sorted: the address that does, and how it is sorted now."""

    url: str
    aria: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One view of the list: what was asked, and what was found."""

    filters: Filters
    standings: list[Standing]
    totals: dict[str, Total]
    page: Page
    rows: list[tuple[Row, str]]
    now: datetime
    user: User
    bulk: list[Kind]


@require_safe
@staff_page(VIEW_LOANS)
def loan_list(request: HttpRequest) -> HttpResponseBase:
    """The list, or the one loan that the search names."""
    filters = read_filters(request.GET)
    if filters.q and (only := search(visible_loans(request.user), filters.q).only):
        return redirect("loan", pk=only)
    listing = look(request, filters)
    return render(request, "loans/list.html", context_of(listing))


@require_safe
@staff_page(VIEW_LOANS)
def loan_changes(request: HttpRequest) -> HttpResponse:
    """The rows that differ from those the browser holds; `since` names them with their versions."""
    listing = look(request, read_filters(request.GET))
    held = read_held(request.GET.get("since", ""))
    changed = {
        str(row.id): row_html(row, old, can_choose=bool(listing.bulk))
        for row, old in listing.rows
        if held.get(str(row.id), row.version) != row.version
    }
    frame_now = frame(listing.standings, now=listing.now, room="loans")
    return JsonResponse(
        {
            "updated": frame_now["updated"],
            "polled": frame_now["polled"],
            "rows": changed,
            "moved": [str(row.id) for row, _ in listing.rows] != list(held),
            "summary": render_to_string("loans/_summary.html", {"cards": cards(listing)}),
            "banners": render_to_string("_banners.html", {"banners": frame_now["banners"]}),
        }
    )


def look(request: HttpRequest, filters: Filters) -> Listing:
    """Read everything the list shows, in a fixed number of statements."""
    now = timezone.now()
    found = standings(request.user, now=now)
    loans = filters.scope(visible_loans(request.user))
    matching = filters.narrow(_searched(loans, filters.q), now=now)
    page = read_page(
        matching, sort=filters.sort, after=filters.after, before=filters.before, size=PAGE_SIZE
    )
    return Listing(
        filters=filters,
        standings=found,
        totals=totals(loans, now=now),
        page=page,
        rows=rows_of(page.loans, found, now=now),
        now=now,
        user=request.user,
        bulk=bulk_actions(request.user),
    )


def context_of(listing: Listing) -> dict[str, Any]:
    """Return what the list's template lays out."""
    filters, partners = listing.filters, [standing.partner for standing in listing.standings]
    return {
        **frame(listing.standings, now=listing.now, room="loans"),
        "filters": filters,
        "cards": cards(listing),
        "chips": chips(filters, partners),
        "clear_url": Filters(sort=filters.sort).address(),
        "statuses": STATUS_LABELS,
        "needs_review": ("needs_review",),
        "float_short": ("float_short",),
        "whens": WHEN_LABELS,
        "ons": ON_LABELS,
        "partners": partners,
        "products": products(partners),
        "headings": headings(filters),
        "rows": listing.rows,
        "shown": shown(listing),
        "next_url": filters.address(after=listing.page.next) if listing.page.next else "",
        "previous_url": filters.address(before=listing.page.previous)
        if listing.page.previous
        else "",
        "first_url": filters.address() if listing.page.previous else "",
        "bulk": [(kind, f"bulk_{kind.name}") for kind in listing.bulk],
        "can_choose": bool(listing.bulk),
        "views": views_of(listing.user, filters),
        "parameters": list(filters.parameters()),
        "export_query": filters.address(),
        "since": "-".join(f"{row.id}.{row.version}" for row, _ in listing.rows),
        "poll_minutes": poll_minutes(),
    }


def cards(listing: Listing) -> list[Card]:
    """Return the summary strip. A card keeps the partner and the product, and drops the rest."""
    made = [_card(key, listing.totals[key], listing.filters, now=listing.now) for key in CARDS]
    return [*made[:-1], _float_card(made[-1], listing)]


def _float_card(card: Card, listing: Listing) -> Card:
    """Return the last card with the balance in place of a count; it leads to what waits for it."""
    lender = listing.filters.lender
    those = [one for one in listing.standings if lender in {"", one.partner.slug}]
    told = float_of(those, listing.totals, now=listing.now)
    return replace(card, count=told.held, money=told.covers, oldest=told.read, empty=False)


def _card(key: str, total: Total, filters: Filters, *, now: datetime) -> Card:
    label, icon, wanted = CARDS[key]
    oldest = f"oldest {age(now - total.oldest_at)}" if total.oldest_at else ""
    return Card(
        key=key,
        label=label,
        icon=icon,
        count=f"{total.count:,}",
        money=money(total.money),
        oldest="" if key == "disbursed_today" else oldest,
        url=_only(filters, wanted),
        chosen=_is_card(key, filters),
        empty=not total.count,
    )


def _only(filters: Filters, wanted: dict[str, object]) -> str:
    kept = Filters(partner=filters.partner, product=filters.product, sort=filters.sort)
    return kept.address(**wanted)


def _is_card(key: str, filters: Filters) -> bool:
    wanted = {"statuses": (), "when": "", "on": "created", **CARDS[key][2]}
    return not filters.q and all(getattr(filters, name) == value for name, value in wanted.items())


def shown(listing: Listing) -> str:
    """Return how many loans match and how much money they are, as far as that is known for free."""
    rows, page = len(listing.rows), listing.page
    for key, total in listing.totals.items():
        if _is_card(key, listing.filters):
            return f"{rows} of {counted(total.count, 'loan')}, {money(total.money)} in all"
    if page.next or page.previous:
        return f"{counted(rows, 'loan')} on this page" + (", more follow" if page.next else "")
    in_shillings = [payout(loan) for loan in page.loans if loan.currency == "KES"]
    return f"{counted(rows, 'loan')}, {money(sum(in_shillings, Decimal(0)))} in all"


def headings(filters: Filters) -> dict[str, Heading]:
    """Return the sortable columns."""
    found = {}
    for name, (first, again) in COLUMNS.items():
        wanted = again if filters.sort == first else first
        aria = {first: _aria(first), again: _aria(again)}.get(filters.sort, "none")
        found[name] = Heading(url=filters.address(sort=wanted), aria=aria)
    return found


def _aria(sort: str) -> str:
    return "descending" if sort in DOWNWARD else "ascending"


def products(partners: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the products that have a rule: the filter's word, and what staff call it."""
    slugs = {partner.pk: partner for partner in partners}
    rules = LoanProductAutoDisbursalConfig.objects.filter(partner_id__in=list(slugs))
    for rule in rules.order_by("partner__name", "product_name", "product_id"):
        partner = slugs[rule.partner_id]
        name = str(rule) if len(slugs) == 1 else f"{rule} ({partner.name})"
        yield f"{partner.slug}:{rule.product_id}", name


def read_held(since: str) -> dict[str, str]:
    """Return the versions of the rows the browser holds, in its order."""
    parts = [part.partition(".") for part in since.split("-")[:PAGE_SIZE] if part]
    return {number: version for number, _, version in parts}


def _searched(loans: QuerySet[LoanTracking], text: str) -> QuerySet[LoanTracking]:
    return search(loans, text).loans if text else loans
