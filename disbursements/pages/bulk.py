"""`/loan-tracking/bulk/<action>`: one action on many loans, with what is left out and why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from disbursements.models import StaffAction
from disbursements.pages.acting import ASKS, ReasonForm
from disbursements.pages.actions import KINDS, Kind
from disbursements.pages.cases import Case, read_cases
from disbursements.pages.desk import frame
from disbursements.pages.doing import Order, do_or_tell
from disbursements.pages.door import View, staff_page
from disbursements.pages.filtering import Filters, read_filters
from disbursements.pages.paging import read_page
from disbursements.pages.rows import row_of
from disbursements.pages.scope import visible_loans
from disbursements.pages.searching import search
from disbursements.pages.standing import standings
from disbursements.pages.tickets import (
    OLD,
    Ticket,
    close,
    read_ticket,
    sign,
    use_ticket,
    used_ticket,
)
from disbursements.pages.wording import counted, money, payout
from loans.models import LoanTracking

VIEW_LOANS = "loans.view_loantracking"
MOST_AT_ONCE = 200
# Paying more loans than this again needs a second person for each (experience.md 1.2.5).
MOST_ALONE = 10
SECONDS = 20.0
VERBS = {
    "approve": "Approve",
    "ask": "Ask M-Pesa about",
    "retry": "Pay again",
    "hold": "Hold",
    "release": "Release",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Loans that are not touched, for one reason."""

    why: str
    loans: list[LoanTracking]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What was chosen, in two parts: what is done, and what is left out and why."""

    kind: Kind
    filters: Filters
    is_all: bool
    chosen: int
    has_more: bool
    cases: list[Case]
    left_out: list[LeftOut]

    @property
    def total(self) -> Decimal:
        shillings = [payout(one.loan) for one in self.cases if one.loan.currency == "KES"]
        return sum(shillings, Decimal(0))

    @property
    def words(self) -> str:
        return f"{counted(len(self.cases), 'loan')}, {money(self.total)}"

    @property
    def needs_second_person(self) -> bool:
        return self.kind.name == "retry" and len(self.cases) > MOST_ALONE


def bulk_page(kind: Kind) -> View:
    """Return the page that asks for `kind` on many loans and does it."""

    @require_http_methods(ASKS)
    @staff_page(kind.permission)
    def act(request: HttpRequest) -> HttpResponseBase:
        form = ReasonForm(request.POST if request.method == "POST" else None)
        refusal = ""
        if request.method == "POST" and form.is_valid():
            action = carry_out(kind, form.cleaned_data["reason"], request)
            if action:
                return redirect("bulk_done", pk=action.pk)
            refusal = OLD
        choice = choose(request, kind)
        context = context_of(request, choice, form, refusal)
        return render(request, "loans/bulk.html", context)

    return act


def choose(request: HttpRequest, kind: Kind) -> Choice:
    """Return the loans that the address names, or all that its filters match, up to a limit."""
    filters, is_all = read_filters(request.GET), "all" in request.GET
    loans, has_more = _matching(request, filters) if is_all else (_named(request), False)
    cases = read_cases(loans, request.user.get_username())
    possible = [case for case in cases if not kind.why_not(case)]
    return Choice(
        kind=kind,
        filters=filters,
        is_all=is_all,
        chosen=len(loans),
        has_more=has_more,
        cases=possible,
        left_out=list(_left_out(kind, cases)),
    )


def _named(request: HttpRequest) -> list[LoanTracking]:
    ids = [int(text) for text in request.GET.getlist("loan")[:MOST_AT_ONCE] if text.isdecimal()]
    found = visible_loans(request.user).in_bulk([pk for pk in ids if pk < 2**63])
    return [found[pk] for pk in ids if pk in found]


def _matching(request: HttpRequest, filters: Filters) -> tuple[list[LoanTracking], bool]:
    loans = filters.scope(visible_loans(request.user))
    if filters.q:
        loans = search(loans, filters.q).loans
    matching = filters.narrow(loans, now=timezone.now())
    page = read_page(matching, sort=filters.sort, size=MOST_AT_ONCE)
    return page.loans, bool(page.next)


def _left_out(kind: Kind, cases: list[Case]) -> Iterator[LeftOut]:
    reasons: dict[str, list[LoanTracking]] = {}
    for case in cases:
        if why_not := kind.why_not(case):
            reasons.setdefault(why_not, []).append(case.loan)
    for why_not, loans in sorted(reasons.items(), key=lambda one: -len(one[1])):
        yield LeftOut(why=why_not, loans=loans)


def carry_out(kind: Kind, reason: str, request: HttpRequest) -> StaffAction | None:
    """Do it for every loan of the ticket, once; None when the ticket is not good."""
    user, now = cast(User, request.user), timezone.now()
    ticket = read_ticket(request.POST.get("ticket", ""), name=f"bulk {kind.name}", user=user)
    if ticket is None:
        return None
    action = use_ticket(ticket, user=user, reason=reason, now=now)
    if action is None:
        return used_ticket(ticket)
    order = Order(
        user=user,
        reason=reason,
        now=now,
        is_one_of_many=True,
        needs_second_person=kind.name == "retry" and len(ticket.seen) > MOST_ALONE,
    )
    cases = _cases_of(request, ticket)
    close(action, list(_results(kind, cases, order, ticket)), now=timezone.now())
    return action


def _cases_of(request: HttpRequest, ticket: Ticket) -> list[Case]:
    found = visible_loans(request.user).in_bulk(list(ticket.seen))
    loans = [found[pk] for pk in ticket.seen if pk in found]
    return read_cases(loans, request.user.get_username())


def _results(
    kind: Kind, cases: list[Case], order: Order, ticket: Ticket
) -> Iterator[dict[str, object]]:
    """Yield what came of each loan. When the time is over, the rest is left as it is, and told."""
    until = time.monotonic() + SECONDS
    for case in cases:
        if time.monotonic() < until:
            is_done, text = do_or_tell(kind, case, order, seen=ticket.seen[case.loan.pk])
        else:
            is_done, text = False, "The time was over before its turn. Nothing was done."
        yield {"id": case.loan.pk, "done": is_done, "text": text}


def context_of(
    request: HttpRequest, choice: Choice, form: ReasonForm, refusal: str
) -> dict[str, Any]:
    """Return what the page lays out."""
    now = timezone.now()
    found = standings(request.user, now=now)
    by_partner = {one.partner.pk: one for one in found}
    seen = {case.loan.pk: case.seen for case in choice.cases}
    user = cast(User, request.user)
    ticket = Ticket(name=f"bulk {choice.kind.name}", user=user.pk, seen=seen)
    return {
        **frame(found, now=now, room="loans"),
        "choice": choice,
        "verb": VERBS[choice.kind.name],
        "total": money(choice.total),
        "rows": [
            row_of(case.loan, case.attempts, by_partner.get(case.loan.partner_id), now=now)
            for case in choice.cases
        ],
        "form": form,
        "refusal": refusal,
        "ticket": sign(ticket),
        "back": choice.filters.address(),
        "all_url": _all_url(request.GET, choice),
        "most": MOST_AT_ONCE,
        "most_alone": MOST_ALONE,
    }


def _all_url(query: QueryDict, choice: Choice) -> str:
    """Return the second, explicit step: the same for all that the filters match."""
    if choice.is_all or "loan" not in query:
        return ""
    return f"{choice.filters.address()}&all=1"


@require_safe
@staff_page(VIEW_LOANS)
def bulk_done(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What came of one action on many loans, loan by loan, for the person who did it."""
    action = get_object_or_404(StaffAction, pk=pk, user_id=request.user.pk)
    now = timezone.now()
    loans = visible_loans(request.user).in_bulk([result["id"] for result in action.results])
    rows = [
        {**result, "loan": loans[result["id"]]}
        for result in sorted(action.results, key=lambda one: one["done"])
        if result["id"] in loans
    ]
    kind = KINDS.get(action.name.removeprefix("bulk "))
    context = {
        **frame(standings(request.user, now=now), now=now, room="loans"),
        "action": action,
        "label": kind.label if kind else action.name,
        "rows": rows,
        "done": sum(1 for row in rows if row["done"]),
    }
    return render(request, "loans/bulk_done.html", context)
