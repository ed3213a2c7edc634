"""How the desk writes things: KSh 12,500, 0712 ***678, 09:41, 2 h 04 m."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from loans.models import LoanTracking

MSISDN = re.compile(r"254([17][0-9]{8})")
# In one piece, or with gaps as people write it.
MSISDN_IN_TEXT = re.compile(
    r"(?<![0-9])(?:\+?254|0)[ -]?([17](?:[ -]?[0-9]){2})(?:[ -]?[0-9]){3}[ -]?"
    r"([0-9](?:[ -]?[0-9]){2})(?![0-9])"
)


def amount(value: Decimal | None) -> str:
    """Return `12,500`, with cents only when there are some."""
    if value is None:
        return "not known"
    return f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"


def money(value: Decimal | None, currency: str = "KES") -> str:
    """Return `KSh 12,500`; another currency keeps its code."""
    if value is None:
        return "not known"
    return f"{'KSh' if currency == 'KES' else currency} {amount(value)}"


def payout(loan: LoanTracking) -> Decimal:
    """Return what the borrower gets: the net amount, or while that is not known the principal."""
    return loan.loan_amount if loan.net_disbursal_amount is None else loan.net_disbursal_amount


def masked_phone(phone: str) -> str:
    """Return `0712 ***678`. What is not a Kenyan mobile number keeps its two ends."""
    if not phone:
        return "no phone number"
    if MSISDN.fullmatch(phone):
        return f"0{phone[3:6]} ***{phone[-3:]}"
    return f"{phone[:2]}***{phone[-2:]}" if len(phone) > 5 else "***"


def local_phone(phone: str) -> str:
    """Return `0712 345 678`, which a spreadsheet keeps as text with its leading zero."""
    found = MSISDN.fullmatch(phone)
    return f"0{phone[3:6]} {phone[6:9]} {phone[9:]}" if found else phone


def without_phones(text: str) -> str:
    """Return `text` with every Kenyan mobile number in it masked."""
    return MSISDN_IN_TEXT.sub(r"0\1 ***\2", text)


def clock(at: datetime, *, now: datetime) -> str:
    """Return `09:41`, with the day when it is not today."""
    here, today = timezone.localtime(at), timezone.localtime(now).date()
    if here.date() == today:
        return f"{here:%H:%M}"
    same_year = here.year == today.year
    return f"{here.day} {here:%b} {here:%H:%M}" if same_year else f"{here.day} {here:%b %Y %H:%M}"


def clock_seconds(at: datetime) -> str:
    """Return `09:41:22 EAT`."""
    return f"{timezone.localtime(at):%H:%M:%S %Z}"


def age(since: timedelta) -> str:
    """Return `42 s`, `11 min`, `2 h 04 m` or `3 d 5 h`."""
    seconds = max(0, int(since.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} m"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Return `1 loan` or `1,204 loans`."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"
