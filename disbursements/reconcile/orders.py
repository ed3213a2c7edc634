"""Turns what a person typed into one comparison: which partners, which days, whose statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.reconcile.run import Order
from disbursements.reconcile.window import Window
from disbursements.statement import Statement
from partners.models import Partner

RECEIPTS_LOOKED_UP = 500


class WrongOrder(Exception):
    """The options do not make one comparison. The text says why."""


def order_from(
    *,
    partners: Sequence[str],
    day: date | None,
    first: date | None,
    last: date | None,
    statement: Statement | None,
    dry_run: bool,
    today: date,
) -> Order:
    """Return the comparison asked for. Raises WrongOrder."""
    chosen = _chosen(partners)
    shortcode = ""
    if statement is not None:
        shortcode = _shortcode_of(statement, chosen, are_named=bool(partners))
        # It speaks of all lenders of its shortcode, whoever was named.
        chosen = _of_shortcode(_together(chosen, _chosen(())), shortcode)
    return Order(
        partners=tuple(chosen),
        window=_window(day, first, last, statement, today=today),
        statement=statement,
        shortcode=shortcode,
        dry_run=dry_run,
    )


def _chosen(slugs: Sequence[str]) -> list[Partner]:
    """The partners named, or all that work or still have a payment to finish."""
    partners = Partner.objects.order_by("slug")
    if slugs:
        return list(partners.filter(slug__in=slugs))
    unfinished = DisbursementRequest.objects.filter(partner=OuterRef("pk")).exclude(
        status__in=[AttemptStatus.COMPLETED, AttemptStatus.FAILED]
    )
    # Whatever is taken away from a lender, its open payments are seen through.
    serving = Q(is_active=True, is_mifos_configured=True) | Q(Exists(unfinished))
    return list(partners.filter(serving))


def _together(named: list[Partner], others: list[Partner]) -> list[Partner]:
    by_slug = {partner.slug: partner for partner in [*named, *others]}
    return [by_slug[slug] for slug in sorted(by_slug)]


def _shortcode_of(statement: Statement, partners: list[Partner], *, are_named: bool) -> str:
    known = {partner.mpesa_shortcode for partner in partners if partner.mpesa_shortcode}
    if statement.shortcode:
        known_too = DisbursementRequest.objects.filter(
            partner__in=partners, mpesa_shortcode=statement.shortcode
        )
        if statement.shortcode in known or known_too.exists():
            return statement.shortcode
        whom = "of the partner named" if are_named else "of any partner"
        raise WrongOrder(
            f"{statement.name} is of shortcode {statement.shortcode}, which is not that {whom}."
        )
    if len(known) != 1:
        raise WrongOrder(
            f"{statement.name} does not name its shortcode. Say whose it is with --partner."
        )
    shortcode = known.pop()
    _refuse_anothers(statement, shortcode)
    return shortcode


def _refuse_anothers(statement: Statement, shortcode: str) -> None:
    """Refuse a wrong --partner: every payment of both partners would be called a difference."""
    receipts = [row.receipt for row in statement.rows[:RECEIPTS_LOOKED_UP]]
    known = DisbursementRequest.objects.filter(transaction_receipt__in=receipts)
    others = known.exclude(mpesa_shortcode=shortcode)
    if others.count() * 2 > known.count():
        owners = ", ".join(sorted(set(others.values_list("partner__slug", flat=True))))
        raise WrongOrder(
            f"{statement.name} does not name its shortcode, and most of its payments are of "
            f"{owners}, not of shortcode {shortcode}. Say --partner {owners.split(', ')[0]}."
        )


def _of_shortcode(partners: list[Partner], shortcode: str) -> list[Partner]:
    paid_by_it = set(
        DisbursementRequest.objects.filter(mpesa_shortcode=shortcode, partner__in=partners)
        .order_by()
        .values_list("partner_id", flat=True)
        .distinct()
    )
    return [each for each in partners if each.mpesa_shortcode == shortcode or each.pk in paid_by_it]


def _window(
    day: date | None,
    first: date | None,
    last: date | None,
    statement: Statement | None,
    *,
    today: date,
) -> Window:
    if day is not None and (first is not None or last is not None):
        raise WrongOrder("--date does not go with --from and --to.")
    if day is not None:
        return Window(first=day, last=day)
    if first is None and last is None:
        return _days_of(statement) or Window(first=today - timedelta(days=1), last=today)
    window = Window(first=first or last or today, last=last or today)
    if window.last < window.first:
        raise WrongOrder("--to is before --from.")
    return window


def _days_of(statement: Statement | None) -> Window | None:
    """The whole days that a statement is about."""
    if statement is None:
        return None
    times = [row.at for row in statement.rows]
    if statement.from_at is not None and statement.to_at is not None:
        times += [statement.from_at, statement.to_at]
    if not times:
        raise WrongOrder(f"{statement.name} has no rows; name the day with --date.")
    return Window(first=timezone.localdate(min(times)), last=timezone.localdate(max(times)))
