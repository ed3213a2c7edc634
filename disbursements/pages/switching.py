"""`/payouts/pause` and `/payouts/resume`: the switch over the payouts of every lender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from disbursements.pages.acting import ASKS, Done, ReasonForm, done_before
from disbursements.pages.actions import Action
from disbursements.pages.desk import frame
from disbursements.pages.door import View, staff_page
from disbursements.pages.scope import User as Viewer
from disbursements.pages.standing import paused, standings
from disbursements.pages.tickets import (
    CHANGED,
    OLD,
    Ticket,
    close,
    read_ticket,
    sign,
    use_ticket,
)
from partners.models import PayoutSwitch
from partners.pausing import SWITCH_ID, pause_all, payouts_paused, resume_all
from partners.visibility import is_bound

CHANGE = "partners.change_payoutswitch"


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchKind:
    """One way to turn the switch."""

    name: str
    title: str
    what: str
    switch: Callable[..., bool]
    is_way_back: bool


KINDS: dict[bool, SwitchKind] = {
    kind.is_way_back: kind
    for kind in (
        SwitchKind(
            name="pause",
            title="Stop all payouts",
            what="Nothing new is paid for any lender until somebody resumes. What is under way is "
            "settled and recorded, and loans are still found.",
            switch=pause_all,
            is_way_back=False,
        ),
        SwitchKind(
            name="resume",
            title="Resume all payouts",
            what="The next pass pays what waits, if nothing else holds it. A lender that was "
            "paused by name stays paused.",
            switch=resume_all,
            is_way_back=True,
        ),
    )
}


def switch_action(user: Viewer) -> Action | None:
    """Return the way in which `user` may turn the switch now; a bound user may not."""
    if is_bound(user) or not user.has_perm(CHANGE):  # type: ignore[union-attr]  # every user has it
        return None
    kind = KINDS[payouts_paused() is not None]
    return Action(name=kind.name, label=kind.title, url=reverse(f"payouts_{kind.name}"))


def switch_page(kind: SwitchKind) -> View:
    """Return the page that asks for a reason and turns the switch."""

    @require_http_methods(ASKS)
    @staff_page(CHANGE)
    def act(request: HttpRequest) -> HttpResponseBase:
        if is_bound(request.user):
            raise PermissionDenied  # it reaches lenders that he may not see
        form = ReasonForm(request.POST if request.method == "POST" else None)
        refusal = ""
        if request.method == "POST" and form.is_valid():
            done = _carry_out(kind, form.cleaned_data["reason"], request)
            if done.is_done:
                messages.success(request, done.text)
                return redirect("partners")
            refusal = done.text
        return render(request, "partners/switch.html", _context(request, kind, form, refusal))

    return act


def _carry_out(kind: SwitchKind, reason: str, request: HttpRequest) -> Done:
    """Turn it once."""
    user, now = cast(User, request.user), timezone.now()
    ticket = read_ticket(request.POST.get("ticket", ""), name=_name(kind), user=user)
    if ticket is None:
        return Done(text=OLD, is_done=False)
    paused_now = payouts_paused()
    if kind.is_way_back and ticket.seen != _shown(paused_now):
        return Done(text=CHANGED, is_done=False)
    if kind.is_way_back and paused_now is None:
        return Done(text="It was so already.", is_done=True)
    action = use_ticket(ticket, user=user, reason=reason, now=now)
    if action is None:
        return done_before(ticket)
    lifted = {"paused_at": paused_now.paused_at} if kind.is_way_back and paused_now else {}
    moved = kind.switch(by=user.get_username(), reason=reason, now=now, **lifted)
    text = f"{kind.title}: done." if moved else "It was so already."
    close(action, [{"done": moved, "text": text}], now=timezone.now())
    return Done(text=text, is_done=True)


def _shown(switch: PayoutSwitch | None) -> dict[int, str]:
    """Which pause the page shows: no other one is lifted from it."""
    at = switch.paused_at if switch else None
    return {SWITCH_ID: at.isoformat()} if at else {}


def _name(kind: SwitchKind) -> str:
    return f"payouts {kind.name}"


def _context(
    request: HttpRequest, kind: SwitchKind, form: ReasonForm, refusal: str
) -> dict[str, Any]:
    now, user = timezone.now(), cast(User, request.user)
    found, switch = standings(request.user, now=now), payouts_paused()
    return {
        **frame(found, now=now, room="partners"),
        "kind": kind,
        "lenders": [one.partner.name for one in found],
        "state": paused(switch, "All payouts are", now=now) if switch else "Payouts are on.",
        "form": form,
        "refusal": refusal,
        "ticket": sign(Ticket(name=_name(kind), user=user.pk, seen=_shown(switch))),
        "banners": [],
    }
