"""Stops and resumes payouts, of one partner or of all, and writes down who did it and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from django.db import transaction
from django.db.models import Model

from partners.history import write_down
from partners.models import Partner, PayoutSwitch

logger = logging.getLogger(__name__)
SWITCH_ID = 1
NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


def payouts_paused() -> PayoutSwitch | None:
    """Return the switch while it stops every partner's payouts, else None."""
    return PayoutSwitch.objects.filter(pk=SWITCH_ID, is_paused=True).first()


def pause_partner(partner: Partner, *, by: str, reason: str, now: datetime) -> bool:
    """Stop new payouts of `partner`; what is under way is still settled. False = it was paused."""
    return _set_partner(partner, paused=True, by=by, reason=reason, now=now)


def resume_partner(
    partner: Partner, *, by: str, reason: str, now: datetime, paused_at: datetime | None = None
) -> bool:
    """Let `partner` pay again. False = it was not paused, or not since the `paused_at` seen."""
    return _set_partner(
        partner, paused=False, by=by, reason=reason, now=now, guard=_seen(paused_at)
    )


def pause_all(*, by: str, reason: str, now: datetime) -> bool:
    """Stop the payouts of every partner. False = they were stopped already."""
    return _set_switch(paused=True, by=by, reason=reason, now=now)


def pause_all_for_a_breach(*, by: str, reason: str, now: datetime) -> None:
    """Stop the payouts of every partner; a person's pause gives way, and is named in the reason.

    Whoever resumed would else not know of the graver cause. Said once: what `by` paused stays.
    """
    with transaction.atomic():
        PayoutSwitch.objects.get_or_create(pk=SWITCH_ID)
        switch = PayoutSwitch.objects.select_for_update().get(pk=SWITCH_ID)
        if switch.is_paused and switch.paused_by == by:
            return
        if switch.is_paused:
            reason = f"{reason[:150]}; before that: {switch.paused_by}, {switch.pause_reason}"
        columns = _columns(paused=True, by=by, reason=reason, now=now)
        PayoutSwitch.objects.filter(pk=SWITCH_ID).update(**columns)
        _say(switch, paused=True, by=by, reason=reason)


def resume_all(*, by: str, reason: str, now: datetime, paused_at: datetime | None = None) -> bool:
    """Let every partner pay again that is not paused itself. False = nothing was stopped, or not
    since the `paused_at` seen."""
    return _set_switch(paused=False, by=by, reason=reason, now=now, guard=_seen(paused_at))


def _seen(paused_at: datetime | None) -> dict[str, object]:
    """What a page showed must be what is lifted: another pause has another reason."""
    return {} if paused_at is None else {"paused_at": paused_at}


def _set_partner(
    partner: Partner,
    *,
    paused: bool,
    by: str,
    reason: str,
    now: datetime,
    guard: Mapping[str, object] = NOTHING_MORE,
) -> bool:
    with transaction.atomic():
        moved = Partner.objects.filter(pk=partner.pk, is_paused=not paused, **guard).update(
            **_columns(paused=paused, by=by, reason=reason, now=now), updated_at=now
        )
        if moved:
            _say(partner, paused=paused, by=by, reason=reason)
    partner.refresh_from_db(fields=["is_paused", "paused_by", "paused_at", "pause_reason"])
    return bool(moved)


def _set_switch(
    *,
    paused: bool,
    by: str,
    reason: str,
    now: datetime,
    guard: Mapping[str, object] = NOTHING_MORE,
) -> bool:
    with transaction.atomic():
        switch, _ = PayoutSwitch.objects.get_or_create(pk=SWITCH_ID)
        moved = PayoutSwitch.objects.filter(pk=SWITCH_ID, is_paused=not paused, **guard).update(
            **_columns(paused=paused, by=by, reason=reason, now=now)
        )
        if moved:
            _say(switch, paused=paused, by=by, reason=reason)
    return bool(moved)


def _columns(*, paused: bool, by: str, reason: str, now: datetime) -> dict[str, object]:
    if not paused:
        return {"is_paused": False, "paused_by": "", "paused_at": None, "pause_reason": ""}
    return {
        "is_paused": True,
        "paused_by": by[:150],
        "paused_at": now,
        "pause_reason": reason[:300],
    }


def _say(what: Model, *, paused: bool, by: str, reason: str) -> None:
    verb = "paused" if paused else "resumed"
    name = what.slug if isinstance(what, Partner) else "all partners"
    logger.warning("payouts of %s %s by %s: %s", name, verb, by, reason)
    write_down(what, by=by, text=f"Payouts {verb}: {reason}")
