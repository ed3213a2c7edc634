"""What the desk must say before anything else: pauses, late polls, refusals, stopped shortcodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from disbursements.pages.standing import PollState, Standing, paused, poll_state, poll_words
from disbursements.pages.wording import clock, without_phones

MOST = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Banner:
    """One line over the page. `tone` is `bad`, `warn` or `info`."""

    tone: str
    icon: str
    text: str
    url: str = ""
    link: str = ""


def banners(found: list[Standing]) -> list[Banner]:
    """Return what must be said about these partners; beyond a few, only how many more."""
    each = [banner for one in found for banner in _about(one)]
    said = [*_about_all(found), *sorted(each, key=lambda banner: banner.tone != "bad")]
    if len(said) <= MOST:
        return said
    more = Banner(
        tone="warn",
        icon="triangle",
        text=f"{len(said) - MOST + 1} more notices about partners.",
        url=reverse("partners"),
        link="See all partners",
    )
    return [*said[: MOST - 1], more]


def _about_all(found: list[Standing]) -> Iterator[Banner]:
    switch = found[0].switch if found else None
    if switch and switch.is_paused:
        text = paused(switch, "All payouts are", now=found[0].now)
        yield Banner(tone="warn", icon="pause", text=text)


def _about(standing: Standing) -> Iterator[Banner]:
    partner, code = standing.partner, standing.shortcode
    if not partner.is_active:
        return
    if partner.is_paused:
        text = f"{partner.name}: {paused(partner, 'payouts are', now=standing.now)}"
        yield _banner(standing, tone="warn", icon="pause", text=text)
    state = poll_state(partner, now=standing.now)
    if partner.last_error:
        yield _banner(standing, tone="bad", icon="triangle", text=_error(standing))
    elif state in {PollState.LATE, PollState.DOWN}:
        yield _banner(standing, tone="warn", icon="clock", text=_late(standing))
    if code and code.breaker_opened_at:
        since = clock(code.breaker_opened_at, now=standing.now)
        text = f"{partner.name}: payouts stopped at {since}. {code.breaker_cause}"
        yield _banner(standing, tone="bad", icon="triangle", text=text)
    elif code and code.float_short_since:
        since = clock(code.float_short_since, now=standing.now)
        text = f"{partner.name}: float is short since {since}. Payouts go on when it is topped up."
        yield _banner(standing, tone="warn", icon="triangle", text=text)


def _error(standing: Standing) -> str:
    partner = standing.partner
    at = f" at {clock(partner.last_error_at, now=standing.now)}" if partner.last_error_at else ""
    read = f"Last good poll: {poll_words(standing)}."
    error = without_phones(partner.last_error.rstrip("."))
    if standing.is_read_in_part:
        return f"{partner.name}: {error}."
    return f"{partner.name} could not be read{at}. {error}. {read}"


def _late(standing: Standing) -> str:
    name, minutes = standing.partner.name, settings.LOANPOLL_POLL_INTERVAL / 60
    since = poll_words(standing).removesuffix(" ago")
    return f"{name} has not been polled for {since} (expected every {minutes:g} min)."


def _banner(standing: Standing, *, tone: str, icon: str, text: str) -> Banner:
    url = f"{reverse('partners')}#{standing.partner.slug}"
    return Banner(tone=tone, icon=icon, text=text, url=url, link="See partner")
