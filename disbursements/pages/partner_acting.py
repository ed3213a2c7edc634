"""`/partners/<slug>/<action>`: test, poll, pause, resume, and let a stopped shortcode pay again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from disbursements.models import TriggeredBy
from disbursements.pages.acting import ASKS, Done, ReasonForm, done_before
from disbursements.pages.actions import HOLD, Action
from disbursements.pages.desk import frame
from disbursements.pages.door import View, staff_page
from disbursements.pages.scope import User as Viewer
from disbursements.pages.scope import visible_partners
from disbursements.pages.standing import Standing, breaker_words, float_words, standings
from disbursements.pages.tickets import (
    CHANGED,
    OLD,
    Ticket,
    close,
    read_ticket,
    sign,
    use_ticket,
)
from disbursements.pages.wording import counted, without_phones
from disbursements.passes import run_fetch
from mpesa.shortcodes import reset_breaker
from partners.access import check_access
from partners.history import write_down
from partners.models import Partner
from partners.pausing import pause_partner, resume_partner
from partners.visibility import sees_shortcode

VIEW = "partners.view_partner"
CHANGE = "partners.change_partner"
# Asking a partner's systems moves nothing: whoever acts on loans or partners may.
OPERATE = (HOLD, CHANGE)
Switch = Callable[[Standing, str, str, datetime], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerKind:
    """One thing a person may do with a partner. Without `switch` it needs no reason."""

    name: str
    label: str
    why_not: Callable[[Standing], str]
    permissions: tuple[str, ...] = (CHANGE,)
    title: str = ""
    what: str = ""
    switch: Switch | None = None
    is_of_shortcode: bool = False  # done to every partner that pays from it
    lifts_pause: bool = False


OTHERS = "another lender pays from this shortcode too: ask somebody who sees both."


def _pause(standing: Standing, by: str, reason: str, now: datetime) -> bool:
    return pause_partner(standing.partner, by=by, reason=reason, now=now)


def _resume(standing: Standing, by: str, reason: str, now: datetime) -> bool:
    # Only the pause that was compared with the page: it may be another, for another reason, by now.
    paused_at = standing.partner.paused_at
    if paused_at is None:
        return False
    return resume_partner(standing.partner, by=by, reason=reason, now=now, paused_at=paused_at)


def _reset(standing: Standing, by: str, reason: str, now: datetime) -> bool:
    partner = standing.partner
    place = (partner.mpesa_environment, partner.mpesa_shortcode)
    # Only the breaker that was compared with the page: it may be another by now.
    done = reset_breaker(*place, seen=standing.shortcode)
    if done:
        text = f"Shortcode {partner.mpesa_shortcode} may pay again: {reason}"
        write_down(partner, by=by, text=text)
    return done


def _why_not_poll(standing: Standing) -> str:
    if not standing.partner.is_active:
        return "the partner is not active."
    return "" if standing.partner.is_mifos_configured else "its Mifos X settings are not complete."


def _why_not_reset(standing: Standing) -> str:
    code = standing.shortcode
    return "" if code and code.breaker_opened_at else "its shortcode is not stopped."


PARTNER_KINDS: dict[str, PartnerKind] = {
    kind.name: kind
    for kind in (
        PartnerKind(
            name="test", label="Test connection", permissions=OPERATE, why_not=lambda standing: ""
        ),
        PartnerKind(name="poll", label="Poll now", permissions=OPERATE, why_not=_why_not_poll),
        PartnerKind(
            name="pause",
            label="Pause payouts",
            why_not=lambda standing: "it is paused." if standing.partner.is_paused else "",
            title="Pause the payouts of {name}",
            what="Nothing new is paid until somebody resumes. What is under way is settled and "
            "recorded, and loans are still found.",
            switch=_pause,
        ),
        PartnerKind(
            name="resume",
            label="Resume payouts",
            why_not=lambda standing: "" if standing.partner.is_paused else "it is not paused.",
            title="Resume the payouts of {name}",
            what="The next pass pays what waits, if nothing else holds it.",
            switch=_resume,
            lifts_pause=True,
        ),
        PartnerKind(
            name="reset",
            label="Let the shortcode pay again",
            why_not=_why_not_reset,
            title="Let shortcode {shortcode} pay again",
            what="Correct its cause first: each further refusal helps to lock the initiator. "
            "This is for every partner on the shortcode.",
            switch=_reset,
            is_of_shortcode=True,
        ),
    )
}
ASKING = {name: kind for name, kind in PARTNER_KINDS.items() if kind.switch}


def partner_actions(standing: Standing, user: Viewer) -> list[tuple[PartnerKind, Action]]:
    """Return what `user` may do with this partner now."""
    slug = standing.partner.slug
    return [
        (
            kind,
            Action(
                name=kind.name,
                label=kind.label,
                url=reverse(f"partner_{kind.name}", args=[slug]),
            ),
        )
        for kind in PARTNER_KINDS.values()
        if _may(user, kind.permissions) and not _why_not(kind, standing, user)
    ]


def _why_not(kind: PartnerKind, standing: Standing, user: Viewer) -> str:
    if kind.is_of_shortcode and not sees_shortcode(user, standing.partner):
        return OTHERS
    return kind.why_not(standing)


def _shown(kind: PartnerKind, standing: Standing) -> str:
    """What a page showed that must still hold when it is sent: which breaker, or pause, it was."""
    if kind.lifts_pause:
        return f"{standing.partner.paused_at or ''}"
    if not kind.is_of_shortcode or standing.shortcode is None:
        return ""
    return f"{standing.shortcode.breaker_opened_at} {standing.shortcode.breaker_cause}"


def _may(user: Viewer, permissions: tuple[str, ...]) -> bool:
    return any(user.has_perm(one) for one in permissions)  # type: ignore[union-attr]  # every user has it


def partner_page(kind: PartnerKind) -> View:
    """Return the page that asks for a reason and does `kind`."""

    @require_http_methods(ASKS)
    @staff_page(CHANGE)
    def act(request: HttpRequest, slug: str) -> HttpResponseBase:
        standing = _standing(request, slug)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        refusal = ""
        if request.method == "POST" and form.is_valid():
            done = carry_out(kind, standing, form.cleaned_data["reason"], request)
            if done.is_done:
                messages.success(request, done.text)
                return redirect(f"{reverse('partners')}#{slug}")
            refusal = done.text
        return render(
            request, "partners/act.html", _context(request, kind, standing, form, refusal)
        )

    return act


def carry_out(kind: PartnerKind, standing: Standing, reason: str, request: HttpRequest) -> Done:
    """Switch it once."""
    user, now, partner = cast(User, request.user), timezone.now(), standing.partner
    name = f"partner {kind.name}"
    ticket = read_ticket(request.POST.get("ticket", ""), name=name, user=user)
    if ticket is None or ticket.seen.get(partner.pk) is None or kind.switch is None:
        return Done(text=OLD, is_done=False)
    if kind.is_of_shortcode and not sees_shortcode(user, partner):
        return Done(text=f"Not done: {OTHERS}", is_done=False)
    shown = _shown(kind, standing)
    if ticket.seen[partner.pk] != shown:
        return Done(text=CHANGED, is_done=False)
    action = use_ticket(ticket, user=user, reason=reason, now=now)
    if action is None:
        return done_before(ticket)
    moved = kind.switch(standing, user.get_username(), reason, now)
    unmoved = CHANGED if shown else "It was so already."
    text = f"{partner.name}: {kind.label.lower()}, done." if moved else unmoved
    close(action, [{"partner": partner.slug, "done": moved, "text": text}], now=timezone.now())
    return Done(text=text, is_done=moved or not shown)


@require_POST
@staff_page(VIEW)
def test_partner(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Look whether Mifos X and M-Pesa can be served for this partner. Reads only."""
    standing, now = _operated(request, slug), timezone.now()
    partner = Partner.objects.get(pk=standing.partner.pk)  # with its secrets
    findings = check_access(partner, now=now)
    context = {
        **frame([standing], now=now, room="partners"),
        "partner": partner,
        "findings": findings,
        "tones": {"ok": "disbursed", "warn": "review", "fail": "failed"},
        "failed": sum(1 for one in findings if one.verdict == "fail"),
        "banners": [],
    }
    return render(request, "partners/test.html", context)


@require_POST
@staff_page(VIEW)
def poll_partner(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Read this partner's waiting loans now. Pays nothing: the next pass does."""
    standing = _operated(request, slug)
    if why_not := _why_not_poll(standing):
        messages.warning(request, f"Not polled: {why_not}")
        return redirect("partners")
    [found] = run_fetch(triggered_by=TriggeredBy.STAFF, partners=[slug]).results
    if found.error:
        messages.warning(request, f"{found.partner}: {without_phones(found.error)}")
    else:
        waiting, new = counted(found.approved, "approved loan"), counted(found.new_loans, "new one")
        messages.success(request, f"{found.partner}: {waiting} in Mifos X, {new}.")
    return redirect(f"{reverse('partners')}#{slug}")


def _operated(request: HttpRequest, slug: str) -> Standing:
    if not _may(request.user, OPERATE):
        raise PermissionDenied
    return _standing(request, slug)


def _standing(request: HttpRequest, slug: str) -> Standing:
    partner = get_object_or_404(visible_partners(request.user), slug=slug)
    found = standings(request.user, now=timezone.now())
    return next(one for one in found if one.partner.pk == partner.pk)


def _context(
    request: HttpRequest, kind: PartnerKind, standing: Standing, form: ReasonForm, refusal: str
) -> dict[str, Any]:
    partner, user = standing.partner, cast(User, request.user)
    names = {"name": partner.name, "shortcode": partner.mpesa_shortcode}
    seen = {partner.pk: _shown(kind, standing)}
    ticket = Ticket(name=f"partner {kind.name}", user=user.pk, seen=seen)
    return {
        **frame([standing], now=standing.now, room="partners"),
        "kind": kind,
        "partner": partner,
        "standing": standing,
        "title": kind.title.format(**names),
        "float": float_words(standing),
        "breaker": breaker_words(standing),
        "why_not": _why_not(kind, standing, user),
        "form": form,
        "refusal": refusal,
        "ticket": sign(ticket),
        "banners": [],
    }
