"""The float of the summary strip: what the accounts hold, and whether it covers the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from disbursements.pages.counting import Total
from disbursements.pages.standing import Standing
from disbursements.pages.wording import clock, counted, money
from mpesa.models import Shortcode


@dataclass(frozen=True, kw_only=True, slots=True)
class Float:
    """The shortcodes behind some partners, in words."""

    held: str
    covers: str
    read: str


def float_of(found: list[Standing], totals: dict[str, Total], *, now: datetime) -> Float:
    """Return the float of these partners beside what waits for it."""
    codes = _shortcodes(found)
    known = [code for code in codes if _balance(code) is not None]
    balance = sum((_balance(code) or Decimal(0) for code in known), Decimal(0))
    return Float(
        held=money(balance) if known else "unknown",
        covers=_covers(codes, known, balance, totals),
        read=_read(known, now=now),
    )


def _shortcodes(found: list[Standing]) -> list[Shortcode]:
    """Return the shortcodes of the active partners, once each: several may share one."""
    codes = [one.shortcode for one in found if one.shortcode and one.partner.is_active]
    return list({code.pk: code for code in codes}.values())


def _balance(code: Shortcode) -> Decimal | None:
    """Return what M-Pesa said last. An unanswered balance is unknown, never 0."""
    return code.utility_balance if code.utility_balance_at else None


def _covers(
    codes: list[Shortcode], known: list[Shortcode], balance: Decimal, totals: dict[str, Total]
) -> str:
    waiting = totals["float"]
    if waiting.count:
        return f"{counted(waiting.count, 'waits', 'wait')}, {money(waiting.money)}"
    if not known:
        return "no balance read yet" if codes else "no shortcode yet"
    if len(known) < len(codes):
        return f"{len(codes) - len(known)} of {len(codes)} accounts not read"
    if balance < totals["pending"].money:
        return f"short by {money(totals['pending'].money - balance)}"
    # One account cannot pay for another, so only of a single one this is known.
    return "covers the queue" if len(codes) == 1 else f"in {len(codes)} accounts"


def _read(known: list[Shortcode], *, now: datetime) -> str:
    times = [code.utility_balance_at for code in known if code.utility_balance_at]
    return f"read {clock(min(times), now=now)}" if times else ""
