"""One-time tickets: what a confirmation page showed, signed. A second press does nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.core import signing
from django.db import IntegrityError, transaction

from disbursements.models import StaffAction

SALT = "loanpoll.desk"
MAX_AGE_SECONDS = 3600
OLD = "This page was open for too long, or is not yours. Look again, and press again."

UNFINISHED = (
    "This was begun before and has not ended, or it broke: look what came of it, and press again."
)
CHANGED = "It changed since this page was opened. Look again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """The right of one user to do one thing once. `seen` is the digest of each thing shown."""

    name: str
    user: int
    seen: dict[int, str]
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))


def sign(ticket: Ticket) -> str:
    """Return the ticket as text for a form."""
    seen = [[number, digest] for number, digest in ticket.seen.items()]
    facts = [ticket.name, ticket.user, seen, ticket.nonce]
    return signing.dumps(facts, salt=SALT, compress=True)


def read_ticket(text: str, *, name: str, user: User) -> Ticket | None:
    """Return the ticket, or None when it is forged, too old, or for something or somebody else."""
    try:
        facts = signing.loads(text, salt=SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return None
    if facts[:2] != [name, user.pk]:
        return None
    return Ticket(name=name, user=user.pk, seen=dict(facts[2]), nonce=facts[3])


def use_ticket(ticket: Ticket, *, user: User, reason: str, now: datetime) -> StaffAction | None:
    """Return the row that what is done is written on, or None when the ticket was used before."""
    try:
        with transaction.atomic():
            return StaffAction.objects.create(
                token=ticket.nonce, user=user, name=ticket.name, reason=reason, started_at=now
            )
    except IntegrityError:
        return None


def used_ticket(ticket: Ticket) -> StaffAction:
    """Return what was done with a ticket that was used before."""
    return StaffAction.objects.get(token=ticket.nonce)


def close(action: StaffAction, results: list[dict[str, object]], *, now: datetime) -> None:
    """Write down what came of it."""
    StaffAction.objects.filter(pk=action.pk).update(results=results, finished_at=now)
