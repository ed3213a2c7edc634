"""Says what has changed since the last time, through every channel that is set up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import uuid4

from disbursements.alerts.book import Claim, claim_unsaid, give_back, keep, note_said
from disbursements.alerts.channels import Channel, configured_channels
from disbursements.alerts.conditions import review_standing
from disbursements.alerts.errands import Errand, patience_from_now
from disbursements.alerts.message import Message, message_of
from partners.overlap import leave_database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Saying:
    """What one channel was given to say, and what went wrong; empty = it was delivered."""

    channel: str
    began: int = 0
    over: int = 0
    trouble: str = ""


def say_changes(now: datetime) -> list[Saying]:
    """Look, and tell what began or is over. What is not delivered is for the next pass.

    Empty when no channel is set up: then nothing is looked at, kept or said.
    """
    channels = configured_channels()
    if not channels:
        return []
    conditions = review_standing(now)
    claims = []
    for channel in channels:
        keep(channel.name, conditions, now=now)
        claims.append((channel, claim_unsaid(channel.name, now=now)))
    return list(_deliver(claims, now=now))


def send_test(now: datetime) -> list[Saying]:
    """Send a message that says it is a test through every channel. Writes nothing."""
    message = Message(number=uuid4().hex, at=now, lines=(), is_test=True)
    leave_database()
    errands = [
        (channel, Errand(partial(channel.send, message))) for channel in configured_channels()
    ]
    until = patience_from_now()
    return [
        Saying(channel=channel.name.label, trouble=errand.trouble(until=until))
        for channel, errand in errands
    ]


def _deliver(claims: list[tuple[Channel, Claim]], *, now: datetime) -> Iterator[Saying]:
    if any(claim for _, claim in claims):
        leave_database()
    errands = [(channel, claim, _errand(channel, claim, now=now)) for channel, claim in claims]
    until = patience_from_now()
    for channel, claim, errand in errands:
        trouble = errand.trouble(until=until) if errand else ""
        _settle(channel, claim, trouble, now=now)
        yield Saying(
            channel=channel.name.label,
            began=len(claim.began),
            over=len(claim.over),
            trouble=trouble,
        )


def _errand(channel: Channel, claim: Claim, *, now: datetime) -> Errand | None:
    message = message_of([*claim.began, *claim.over], at=now)
    return Errand(partial(channel.send, message)) if claim else None


def _settle(channel: Channel, claim: Claim, trouble: str, *, now: datetime) -> None:
    if not claim:
        return
    if trouble:
        logger.warning("alerts by %s were not delivered: %s", channel.name.label, trouble)
        give_back(channel.name, claim)
        return
    note_said(channel.name, claim, now=now)
    said = (len(claim.began), len(claim.over), channel.name.label)
    logger.info("%s alerts and %s ends were told by %s", *said)
