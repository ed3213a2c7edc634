"""What the pause and resume commands have in common: whom, why, and by whom."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence

from django.core.management.base import CommandError, CommandParser

from partners.models import Partner


def add_switch_arguments(parser: CommandParser) -> None:
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument(
        "--partner", action="append", default=[], metavar="SLUG", help="this one; repeatable"
    )
    whom.add_argument("--all", action="store_true", help="every partner")
    parser.add_argument(
        "--reason", required=True, type=_reason, metavar="TEXT", help="why; staff read this"
    )
    parser.add_argument("--actor", required=True, metavar="USER", help="your user name")


def _reason(text: str) -> str:
    if not text.strip():
        raise ArgumentTypeError("the reason is empty; staff read it")
    return text.strip()


def partners_named(slugs: Sequence[str]) -> list[Partner]:
    """Return the partners in the order named. An unknown one stops the command; nothing is done."""
    found = {partner.slug: partner for partner in Partner.objects.filter(slug__in=slugs)}
    unknown = [slug for slug in slugs if slug not in found]
    if unknown:
        known = ", ".join(Partner.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no partner '{unknown[0]}'. Partners: {known}.", returncode=2)
    return [found[slug] for slug in slugs]
