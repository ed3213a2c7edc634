"""What staff should know of at this moment, read from the database alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from django.conf import settings
from django.utils import timezone

from disbursements.models import AlertKind, ApiKey
from disbursements.pages.wording import money, without_phones
from disbursements.reconcile.follow_up import ACTOR as RECONCILE
from loans.holding import HELD_FOR_A_PERSON
from loans.models import LoanTracking, ReviewReason
from mpesa.models import MpesaEnvironment, Shortcode
from partners.access import CREDENTIAL_END, CREDENTIAL_WARN
from partners.models import Partner, PayoutSwitch

API_KEY_WARN = timedelta(days=14)
# How the client's MifosCredentials begin; a partner keeps the text of its last error only.
REFUSED_LOGINS = (
    "Mifos X does not accept the user name and password",
    "Mifos X does not know the tenant",
    "No tenant is set for Mifos X",
    "The Mifos X user needs a second factor",
    "The password of the Mifos X user has expired",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One thing that lasts. The same `key` with another `mark` has become another thing."""

    kind: AlertKind
    key: str
    about: str
    text: str
    mark: str = ""
    loan_id: int | None = None


def review_standing(now: datetime) -> list[Condition]:
    """Return everything that needs staff now. Reads only; no name of a client, no phone number."""
    partners = list(Partner.objects.filter(is_active=True).order_by("name"))
    return list(
        chain(
            _payout_stop(),
            _shortcodes(partners),
            _loans(),
            _held(),
            chain.from_iterable(_partner(partner, now) for partner in partners),
            _api_keys(now),
        )
    )


def _payout_stop() -> Iterator[Condition]:
    for switch in PayoutSwitch.objects.filter(is_paused=True, paused_by=RECONCILE):
        yield Condition(
            kind=AlertKind.ALL_PAUSED,
            key="all_paused",
            about="All payouts",
            text=f"stopped{_since(switch.paused_at)}: {_line(switch.pause_reason)}",
            mark=_stamp(switch.paused_at),
        )


def _shortcodes(partners: Sequence[Partner]) -> Iterator[Condition]:
    used = {(partner.mpesa_environment, partner.mpesa_shortcode) for partner in partners}
    for row in Shortcode.objects.order_by("environment", "shortcode"):
        if (row.environment, row.shortcode) in used:
            yield from _shortcode(row)


def _shortcode(row: Shortcode) -> Iterator[Condition]:
    sandbox = " (sandbox)" if row.environment == MpesaEnvironment.SANDBOX else ""
    about = f"Shortcode {row.shortcode}{sandbox}"
    place = f"{row.environment}:{row.shortcode}"
    if row.breaker_opened_at:
        yield Condition(
            kind=AlertKind.BREAKER_OPEN,
            key=f"breaker_open:{place}",
            about=about,
            text=f"payouts stopped{_since(row.breaker_opened_at)}: {_line(row.breaker_cause)}",
            mark=_stamp(row.breaker_opened_at),
        )
    if row.float_short_since:
        yield Condition(
            kind=AlertKind.FLOAT_SHORT,
            key=f"float_short:{place}",
            about=about,
            text=f"the float does not cover the next payout{_since(row.float_short_since)}"
            f"{_balance(row)}",
            mark=_stamp(row.float_short_since),
        )


def _balance(row: Shortcode) -> str:
    if row.utility_balance is None or row.utility_balance_at is None:
        return ""
    return f"; {money(row.utility_balance)} at {_moment(row.utility_balance_at)}"


def _loans() -> Iterator[Condition]:
    waiting = LoanTracking.objects.exclude(review_reason="").order_by("review_since", "id")
    rows = waiting.values_list("pk", "loan_id", "partner__name", "review_reason", "review_since")
    words = dict(ReviewReason.choices)
    for pk, loan_id, partner, reason, since in rows.iterator():
        yield Condition(
            kind=AlertKind.LOAN_REVIEW,
            key=f"loan_review:{pk}",
            about=_line(partner),
            text=str(words.get(reason, reason)),
            mark=f"{_stamp(since)} {reason}",
            loan_id=loan_id,
        )


def _held() -> Iterator[Condition]:
    """What the system holds for a person, which no review can say: the loan has no attempt."""
    held = LoanTracking.objects.filter(HELD_FOR_A_PERSON).order_by("id")
    rows = held.values_list("pk", "loan_id", "partner__name", "staff_hold")
    for pk, loan_id, partner, why in rows.iterator():
        yield Condition(
            kind=AlertKind.LOAN_REVIEW,
            key=f"loan_held:{pk}",
            about=_line(partner),
            text=f"held for a person: {_line(why)}",
            loan_id=loan_id,
        )


def _partner(partner: Partner, now: datetime) -> Iterator[Condition]:
    if partner.is_mifos_configured:
        yield from _polling(partner, now)
    if partner.is_mpesa_configured:
        yield from _credential(partner, now)


def _polling(partner: Partner, now: datetime) -> Iterator[Condition]:
    """A refused login makes a partner late, too: only the cause is said."""
    if partner.last_error.startswith(REFUSED_LOGINS):
        yield Condition(
            kind=AlertKind.LOGIN_REFUSED,
            key=f"login_refused:{partner.pk}",
            about=_line(partner.name),
            text=_line(partner.last_error),
        )
    elif _is_late(partner, now):
        last = partner.last_poll_succeeded_at
        cause = f": {_line(partner.last_error)}" if partner.last_error else ""
        yield Condition(
            kind=AlertKind.PARTNER_LATE,
            key=f"partner_late:{partner.pk}",
            about=_line(partner.name),
            text=f"not polled{_since(last)}{cause}" if last else f"never polled{cause}",
        )


def _is_late(partner: Partner, now: datetime) -> bool:
    """The rule of /health/polling, so that both call at the same time."""
    allowed = timedelta(seconds=settings.LOANPOLL_POLL_INTERVAL + settings.LOANPOLL_POLL_GRACE)
    return now - (partner.last_poll_succeeded_at or partner.rules_changed_at) > allowed


def _credential(partner: Partner, now: datetime) -> Iterator[Condition]:
    set_at = partner.mpesa_credential_set_at
    if set_at is None or not partner.mpesa_security_credential or now - set_at < CREDENTIAL_WARN:
        return
    is_over = now - set_at >= CREDENTIAL_END
    ends = "ended it" if is_over else "ends it"
    yield Condition(
        kind=AlertKind.CREDENTIAL_AGES,
        key=f"credential_ages:{partner.pk}",
        about=_line(partner.name),
        text=f"the M-Pesa credential was set on {_day(set_at)}; "
        f"Safaricom {ends} on {_day(set_at + CREDENTIAL_END)}",
        mark="over" if is_over else "soon",
    )


def _api_keys(now: datetime) -> Iterator[Condition]:
    ending = ApiKey.objects.filter(revoked=False, expiry_date__lte=now + API_KEY_WARN)
    for key in ending.order_by("expiry_date"):
        is_over = key.expiry_date is not None and key.expiry_date <= now
        yield Condition(
            kind=AlertKind.CREDENTIAL_AGES,
            key=f"api_key:{key.prefix}",
            about=f"API key {_line(key.name)}",
            text=f"it {'ended' if is_over else 'ends'} on {_day(key.expiry_date)}",
            mark="over" if is_over else "soon",
        )


def _line(text: str) -> str:
    """Return other people's words on one line, without phone numbers."""
    return without_phones(" ".join(text.split()))


def _stamp(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _since(at: datetime | None) -> str:
    return f" since {_moment(at)}" if at else ""


def _moment(at: datetime) -> str:
    here = timezone.localtime(at)
    return f"{here.day} {here:%b %H:%M}"


def _day(at: datetime | None) -> str:
    here = timezone.localtime(at)
    return f"{here.day} {here:%b %Y}"
