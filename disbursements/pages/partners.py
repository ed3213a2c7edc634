"""`/partners`: how each lender stands: polls, float, breaker, queue, credentials."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from disbursements.pages.actions import Action
from disbursements.pages.budget import Budget, budgets_of
from disbursements.pages.counting import PAYOUT
from disbursements.pages.desk import frame, poll_minutes
from disbursements.pages.door import staff_page
from disbursements.pages.filtering import Filters
from disbursements.pages.keeping import kept
from disbursements.pages.partner_acting import PartnerKind, partner_actions
from disbursements.pages.runs import Day, days_of
from disbursements.pages.scope import User, visible_loans
from disbursements.pages.standing import (
    PollState,
    Standing,
    breaker_words,
    float_words,
    poll_words,
    standings,
)
from disbursements.pages.switching import switch_action
from disbursements.pages.wording import age, clock, counted, money, without_phones
from loans.models import LoanStatus

TONES = {
    PollState.UP: ("disbursed", "tick"),
    PollState.NEW: ("pending", "clock"),
    PollState.LATE: ("review", "clock"),
    PollState.DOWN: ("failed", "cross"),
    PollState.PAUSED: ("review", "pause"),
    PollState.OFF: ("cancelled", "dash"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """The pending loans of one partner."""

    count: int = 0
    money: Decimal = Decimal(0)
    oldest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerCard:
    """One partner, in words."""

    name: str
    slug: str
    environment: str
    state: PollState
    tone: str
    icon: str
    polled: str
    sentence: str
    float: str
    covers: str
    breaker: str
    queue: str
    oldest: str
    queue_url: str
    credential: str
    budget: Budget
    day: Day
    actions: list[tuple[PartnerKind, Action]]


@require_safe
@staff_page("partners.view_partner")
def partner_list(request: HttpRequest) -> HttpResponseBase:
    """Every partner that the user may see."""
    now = timezone.now()
    found = standings(request.user, now=now)
    queues = queues_of(request.user)
    budgets = kept("budgets", request.user, lambda: budgets_of(request.user, now=now))
    days = days_of([one.partner.slug for one in found], now=now)
    context = {
        **frame(found, now=now, room="partners"),
        "cards": [
            card(
                one,
                queues.get(one.partner.pk, Queue()),
                budget=budgets.get(one.partner.pk, Budget()),
                day=days[one.partner.slug],
                user=request.user,
            )
            for one in found
        ],
        "poll_minutes": poll_minutes(),
        "switch": switch_action(request.user),
    }
    # This page is the banners' own target: saying them twice helps nobody.
    return render(request, "partners/list.html", {**context, "banners": []})


def queues_of(user: User) -> dict[int, Queue]:
    """Return the pending loans of each partner, in one statement."""
    now = timezone.now()
    pending = visible_loans(user).filter(status=LoanStatus.PENDING, currency="KES")
    rows: Any = (
        pending.order_by()
        .values("partner_id")
        .annotate(count=Count("id"), money=Sum(PAYOUT), oldest=Min("created_at"))
    )
    return {
        row["partner_id"]: Queue(
            count=row["count"], money=row["money"], oldest=f"oldest {age(now - row['oldest'])}"
        )
        for row in rows
    }


def card(standing: Standing, queue: Queue, *, budget: Budget, day: Day, user: User) -> PartnerCard:
    """Return one partner in words."""
    partner = standing.partner
    tone, icon = TONES[standing.state]
    return PartnerCard(
        name=partner.name,
        slug=partner.slug,
        environment="LIVE" if standing.is_live else "SANDBOX",
        state=standing.state,
        tone=tone,
        icon=icon,
        polled=poll_words(standing),
        sentence=sentence(standing),
        float=float_words(standing),
        covers=covers(standing, queue),
        breaker=breaker_words(standing),
        queue=f"{counted(queue.count, 'loan')}, {money(queue.money)}" if queue.count else "empty",
        oldest=queue.oldest,
        queue_url=reverse("loans") + Filters(statuses=("pending",), partner=partner.slug).address(),
        credential=credential_words(standing),
        budget=budget,
        day=day,
        actions=partner_actions(standing, user),
    )


def sentence(standing: Standing) -> str:
    """Return what is wrong with the partner, or that nothing is."""
    partner = standing.partner
    if not partner.is_active:
        return "Not active: it is not polled and nothing is paid."
    if standing.is_read_in_part:
        return without_phones(partner.last_error)
    if partner.last_error:
        at = partner.last_error_at
        when = f" at {clock(at, now=standing.now)}" if at else ""
        return f"Last poll failed{when}. {without_phones(partner.last_error)}"
    if standing.gate:
        return standing.gate
    if not (partner.is_mifos_configured and partner.is_mpesa_configured):
        return "Its Mifos X or M-Pesa settings are not complete."
    if not partner.mifos_auto_disbursement_enabled:
        return "Automatic disbursement is off: loans are found and shown, and nothing is paid."
    return _about_polls(standing.state)


def _about_polls(state: PollState) -> str:
    match state:
        case PollState.NEW:
            return "Connected, and not polled yet."
        case PollState.LATE | PollState.DOWN:
            return f"No poll for longer than {poll_minutes()} min. Is the schedule running?"
        case _:
            return "All is well."


def covers(standing: Standing, queue: Queue) -> str:
    """Return whether the float pays the whole queue, and when it was read."""
    code = standing.shortcode
    if code is None or code.utility_balance is None or code.utility_balance_at is None:
        return ""
    read = f"read {clock(code.utility_balance_at, now=standing.now)}"
    if code.utility_balance >= queue.money:
        return f"covers the queue, {read}"
    return f"short by {money(queue.money - code.utility_balance)}, {read}"


def credential_words(standing: Standing) -> str:
    """Return how old the initiator's credential is."""
    set_at = standing.partner.mpesa_credential_set_at
    if set_at is None:
        return "age not known"
    days = (standing.now - set_at).days
    return f"set {counted(days, 'day')} ago" if days else "set today"
