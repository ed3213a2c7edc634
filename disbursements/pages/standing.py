"""How each partner stands: its polls, its pause, its breaker and its float, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from disbursements.pages.scope import User, visible_partners
from disbursements.pages.wording import age, clock, money
from mpesa.models import MpesaEnvironment, Shortcode
from partners.models import Partner, PayoutSwitch

# A pass takes some seconds: without slack every partner would flicker.
POLL_SLACK = timedelta(seconds=60)


class PollState(StrEnum):
    """Healthchecks' words. Late is past the period, down is past the grace time."""

    OFF = "Off"
    PAUSED = "Paused"
    NEW = "New"
    UP = "Up"
    LATE = "Late"
    DOWN = "Down"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One partner, its shortcode, and the switch over all of them."""

    partner: Partner
    shortcode: Shortcode | None
    switch: PayoutSwitch | None
    now: datetime

    @property
    def state(self) -> PollState:
        if not self.partner.is_active:
            return PollState.OFF
        if self.partner.is_paused or (self.switch and self.switch.is_paused):
            return PollState.PAUSED
        return poll_state(self.partner, now=self.now)

    @property
    def is_live(self) -> bool:
        return self.partner.mpesa_environment == MpesaEnvironment.PRODUCTION

    @property
    def gate(self) -> str:
        """What keeps every loan of this partner waiting; empty when nothing does."""
        if self.switch and self.switch.is_paused:
            return f"{paused(self.switch, 'All payouts are', now=self.now)}"
        if self.partner.is_paused:
            return f"{paused(self.partner, 'Payouts are', now=self.now)}"
        if self.shortcode and self.shortcode.breaker_opened_at:
            cause = self.shortcode.breaker_cause.rstrip(".")
            return f"Payouts stopped: {cause}. An administrator must act."
        if self.shortcode and self.shortcode.float_short_since:
            return "Float is short. It goes on by itself when the float is seen to cover it."
        return ""

    @property
    def is_read_in_part(self) -> bool:
        """Was the list read, but for some loans that cannot be?"""
        read_at, error_at = self.partner.last_poll_succeeded_at, self.partner.last_error_at
        return bool(self.partner.last_error and read_at and error_at and read_at >= error_at)

    @property
    def next_pass_at(self) -> datetime | None:
        """When the next poll is due, if polls are running."""
        if self.partner.last_polled_at is None or self.state != PollState.UP:
            return None
        return self.partner.last_polled_at + timedelta(seconds=settings.LOANPOLL_POLL_INTERVAL)


def poll_state(partner: Partner, *, now: datetime) -> PollState:
    """Return how fresh the partner's last successful poll is."""
    if partner.last_poll_succeeded_at is None:
        return PollState.DOWN if partner.last_error else PollState.NEW
    since = now - partner.last_poll_succeeded_at
    period = timedelta(seconds=settings.LOANPOLL_POLL_INTERVAL) + POLL_SLACK
    if since <= period:
        return PollState.UP
    grace = timedelta(seconds=settings.LOANPOLL_POLL_GRACE)
    return PollState.LATE if since <= period + grace else PollState.DOWN


def paused(what: Partner | PayoutSwitch, words: str, *, now: datetime) -> str:
    """Return `Payouts are paused by J. Otieno since 09:20: float audit.`"""
    by = f" by {what.paused_by}" if what.paused_by else ""
    since = f" since {clock(what.paused_at, now=now)}" if what.paused_at else ""
    reason = f": {what.pause_reason.rstrip('.')}" if what.pause_reason else ""
    return f"{words} paused{by}{since}{reason}."


def standings(user: User, *, now: datetime) -> list[Standing]:
    """Return the standing of every partner that `user` may see, in three statements."""
    switch = PayoutSwitch.objects.first()
    codes = {(code.environment, code.shortcode): code for code in Shortcode.objects.all()}
    return [
        Standing(
            partner=partner,
            shortcode=codes.get((partner.mpesa_environment, partner.mpesa_shortcode)),
            switch=switch,
            now=now,
        )
        for partner in visible_partners(user)
    ]


def environment(found: list[Standing]) -> str:
    """Return LIVE, SANDBOX or both: whether a payout on this page moves real money."""
    kinds = {standing.is_live for standing in found if standing.partner.is_active}
    if kinds == {True, False}:
        return "LIVE and SANDBOX"
    return {True: "LIVE", False: "SANDBOX"}[kinds.pop()] if kinds else ""


def poll_words(standing: Standing) -> str:
    """Return `17 min ago`, or that there was none."""
    at = standing.partner.last_poll_succeeded_at
    return f"{age(standing.now - at)} ago" if at else "never"


def float_words(standing: Standing) -> str:
    """Return `KSh 390,000`. An unanswered balance is unknown, never 0."""
    code = standing.shortcode
    if code is None or code.utility_balance is None or code.utility_balance_at is None:
        return "unknown"
    return money(code.utility_balance)


def breaker_words(standing: Standing) -> str:
    """Return `closed`, or since when and why payouts are stopped."""
    code = standing.shortcode
    if code is None or code.breaker_opened_at is None:
        return "payouts allowed"
    return f"stopped since {clock(code.breaker_opened_at, now=standing.now)}: {code.breaker_cause}"
