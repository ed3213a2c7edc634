"""What keeps a partner's payouts stopped, as a page shows it, and lifts: that stop and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from mpesa.models import Shortcode
from mpesa.shortcodes import reset_breaker, shortcode_of
from partners.history import write_down
from partners.models import Partner
from partners.pausing import pause_partner, resume_partner


@dataclass(frozen=True, slots=True)
class Stop:
    """`key` tells it from any other stop; `words` are for staff. Both empty = not stopped."""

    key: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """Who turns a switch, why, when, and which stop the page had shown for this partner."""

    by: str
    reason: str
    now: datetime
    shown: str = ""


Switch = Callable[[Partner, Doing], bool]


def no_stop(partner: Partner) -> Stop:
    return Stop()


def pause(partner: Partner, doing: Doing) -> bool:
    return pause_partner(partner, by=doing.by, reason=doing.reason, now=doing.now)


def pause_of(partner: Partner) -> Stop:
    """Return the pause that stands now."""
    if partner.paused_at is None:
        return Stop()
    words = f"paused {_day(partner.paused_at)} by {partner.paused_by}: {partner.pause_reason}"
    return Stop(partner.paused_at.isoformat(), words)


def resume(partner: Partner, doing: Doing) -> bool:
    """Lift the pause that was shown. False when it was not, or is not there any more."""
    if doing.shown != pause_of(partner).key or not doing.shown:
        return False
    paused_at = partner.paused_at
    return resume_partner(
        partner, by=doing.by, reason=doing.reason, now=doing.now, paused_at=paused_at
    )


def breaker_of(partner: Partner) -> Stop:
    """Return the breaker of the partner's shortcode that stands now."""
    return _breaker(shortcode_of(partner.mpesa_environment, partner.mpesa_shortcode))


def reset(partner: Partner, doing: Doing) -> bool:
    """Let the shortcode pay again if its breaker is the one that was shown."""
    place = (partner.mpesa_environment, partner.mpesa_shortcode)
    code = shortcode_of(*place)
    done = doing.shown == _breaker(code).key and reset_breaker(*place, seen=code)
    if done:
        text = f"Shortcode {partner.mpesa_shortcode} may pay again: {doing.reason}"
        write_down(partner, by=doing.by, text=text)
    return done


def _breaker(code: Shortcode) -> Stop:
    if code.breaker_opened_at is None:
        return Stop()
    key = f"{code.breaker_opened_at.isoformat()} {code.breaker_cause}"
    return Stop(key, f"stopped {_day(code.breaker_opened_at)}: {code.breaker_cause}")


def _day(at: datetime) -> str:
    return f"{timezone.localtime(at):%d %b %H:%M}"
