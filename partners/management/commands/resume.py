"""Lets payouts go on, of one partner or of all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from partners.management.actors import user_who_may
from partners.management.database import DatabaseCommand
from partners.management.switch import add_switch_arguments, partners_named
from partners.models import Partner, PayoutSwitch
from partners.pausing import payouts_paused, resume_all, resume_partner
from partners.visibility import is_bound, may_see

SWITCH = "partners.change_payoutswitch"
CHANGE = "partners.change_partner"


class Command(DatabaseCommand):
    help = "Let payouts go on. --all lifts the stop of all; partners paused by name stay paused."

    def add_arguments(self, parser: CommandParser) -> None:
        add_switch_arguments(parser)

    def handle(self, *args: Any, actor: str, reason: str, **options: Any) -> None:
        now, partners = timezone.now(), partners_named(options["partner"])
        _check(actor, partners, is_all=options["all"])
        if options["all"]:
            said = _lift(payouts_paused(), partial(resume_all, by=actor, reason=reason, now=now))
            self.stdout.write(f"all partners: {said}")
        for partner in partners:
            lift = partial(resume_partner, partner, by=actor, reason=reason, now=now)
            self.stdout.write(f"{partner.slug}: {_lift(partner, lift)}")


def _lift(pause: Partner | PayoutSwitch | None, lift: Callable[..., bool]) -> str:
    """Lift the pause that was read, and say which it was: a graver one may have come since."""
    if pause is None or pause.paused_at is None:
        return "not paused"
    was = f"paused {timezone.localtime(pause.paused_at):%d %b %H:%M} by {pause.paused_by}"
    why = pause.pause_reason
    if not lift(paused_at=pause.paused_at):
        return "changed meanwhile, nothing was done; look, and try again"
    return f"resumed; it was {was}: {why}"


def _check(actor: str, partners: list[Partner], *, is_all: bool) -> None:
    """Anybody may stop payouts; letting them go on takes the rights that it takes on the page."""
    user = user_who_may(actor, SWITCH if is_all else CHANGE)
    if (is_all and is_bound(user)) or not all(may_see(user, each.pk) for each in partners):
        raise CommandError(f"User '{actor}' is bound to other partners.", returncode=2)
