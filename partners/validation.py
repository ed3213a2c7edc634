"""What a partner's settings must look like, whoever typed them: file, page or shell."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError

from mpesa.models import MpesaEnvironment

if TYPE_CHECKING:
    from partners.models import LoanProductAutoDisbursalConfig, Partner

Problems: TypeAlias = Iterator[tuple[str, str]]

MIFOS_COLUMNS = (
    "mifos_host_url",
    "mifos_api_endpoint",
    "mifos_tenant_id",
    "mifos_username",
    "mifos_password",
    "mifos_payment_type_id",
)
MPESA_COLUMNS = (
    "mpesa_shortcode",
    "mpesa_initiator_name",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
)
SECRET_COLUMNS = (
    "mifos_password",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
)
# An attempt's id is derived from these (design.md 4.1), so they stand still while one is open.
IDENTITY_COLUMNS = (
    "mifos_host_url",
    "mifos_api_endpoint",
    "mifos_tenant_id",
    "mpesa_environment",
    "mpesa_shortcode",
)
LIMIT_COLUMNS = ("daily_limit", "client_daily_limit", "loan_limit", "approval_threshold")

ABSURD_LIMIT = Decimal(1_000_000_000)
ABSURD_PACE = Decimal(10_000)
MIFOS_PORTS = frozenset({None, 443, 8443})  # reliability.md 5, SSRF
CLOSED_ATTEMPTS = ("failed", "completed")

SHORTCODE = re.compile(r"[0-9]{5,7}")
# Safaricom's shared test shortcodes and initiators (contracts/mpesa.md 9, 10).
TEST_SHORTCODE = re.compile(r"600[0-9]{3}|174379")
TEST_INITIATORS = frozenset({"testapi", "testapiuser", "apitest", "apiop37"})
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ENDPOINT = re.compile(r"(/[A-Za-z0-9._~-]+)+")
LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")
DOTTED_NUMBER = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+))*\.?", re.IGNORECASE)


def valid_time_zone(value: str) -> None:
    """Raise ValidationError unless `value` is a time zone of the tz database."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as exc:  # not found, a path, a folder's name
        raise ValidationError(f"'{value}' is not a time zone. Example: Africa/Nairobi") from exc


def check_partner(partner: Partner) -> None:
    """Raise ValidationError with every problem of the partner, by column."""
    _raise_all(
        [
            *_identity_problems(partner),
            *_tenant_problems(partner),
            *_twin_problems(partner),
            *_mifos_problems(partner),
            *_mpesa_problems(partner),
            *_limit_problems(partner),
            *_completeness_problems(partner),
        ]
    )


def check_product(product: LoanProductAutoDisbursalConfig) -> None:
    """Raise ValidationError with every problem of the product config, by column."""
    _raise_all([*_product_problems(product)])


def missing_columns(partner: Partner, columns: tuple[str, ...]) -> list[str]:
    """Return the columns that are still empty."""
    return [column for column in columns if getattr(partner, column) in (None, "")]


def _raise_all(problems: list[tuple[str, str]]) -> None:
    by_column: dict[str, list[str]] = {}
    for column, message in problems:
        by_column.setdefault(column, []).append(message)
    if by_column:
        raise ValidationError(by_column)


def _identity_problems(partner: Partner) -> Problems:
    """reliability.md O5: an open attempt keeps its shortcode and its tenant until it closes."""
    if partner.pk is None:
        return
    stored = type(partner).objects.filter(pk=partner.pk).values(*IDENTITY_COLUMNS).first()
    if stored is None:
        return
    moved = [name for name in IDENTITY_COLUMNS if stored[name] != getattr(partner, name)]
    if not moved or not partner.attempts.exclude(status__in=CLOSED_ATTEMPTS).exists():
        return
    for column in moved:
        yield (
            column,
            "cannot change while payments of this partner are open. "
            "Pause the partner, wait until none is in progress, then change it",
        )


def _tenant_problems(partner: Partner) -> Problems:
    """Each tenant counts its loans from 1: those of another would be taken for the known ones. A
    host may get another name; that it is the same Mifos X, nobody can see from here."""
    if partner.pk is None:
        return
    stored = type(partner).objects.filter(pk=partner.pk).values_list("mifos_tenant_id", flat=True)
    is_moved = (stored.first() or "").lower() != partner.mifos_tenant_id.lower()
    if is_moved and partner.loans.exists():
        yield (
            "mifos_tenant_id",
            "cannot change once loans of this tenant are known: loans of another have the same "
            "numbers. Switch this partner off, and make a new one for the other tenant",
        )


def _twin_problems(partner: Partner) -> Problems:
    """Two partners of one tenant would each pay its loans. Fineract listens on 8443, its proxy on
    443. (On a test machine each port is a server of its own.)"""
    name = _host_name(partner.mifos_host_url)
    if not name or settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return
    others = type(partner).objects.exclude(pk=partner.pk)
    others = others.exclude(mifos_host_url=partner.mifos_host_url)  # the table says so itself
    likely = others.filter(
        mifos_tenant_id__iexact=partner.mifos_tenant_id, mifos_host_url__icontains=name
    )
    if any(_host_name(url) == name for url in likely.values_list("mifos_host_url", flat=True)):
        yield "mifos_host_url", "another partner already uses this Mifos X tenant"


def _host_name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _mifos_problems(partner: Partner) -> Problems:
    yield from _pattern(partner, "mifos_api_endpoint", ENDPOINT, "/fineract-provider/api/v1")
    yield from _pattern(partner, "mifos_tenant_id", TENANT, "default")
    if partner.mifos_host_url and (why := host_problem(partner.mifos_host_url)):
        yield "mifos_host_url", why
    if ":" in partner.mifos_username:
        yield "mifos_username", "may not hold a colon (HTTP Basic ends the name there)"
    if partner.mifos_payment_type_id == 0:
        yield "mifos_payment_type_id", "must be above 0. Example: 3"


def _mpesa_problems(partner: Partner) -> Problems:
    yield from _pattern(partner, "mpesa_shortcode", SHORTCODE, "123456")
    if partner.mpesa_environment != MpesaEnvironment.PRODUCTION:
        return
    if TEST_SHORTCODE.fullmatch(partner.mpesa_shortcode):
        yield (
            "mpesa_shortcode",
            f"{partner.mpesa_shortcode} is one of Safaricom's test shortcodes. Production needs "
            "your own; for tests set mpesa_environment to sandbox",
        )
    if partner.mpesa_initiator_name.lower() in TEST_INITIATORS:
        yield (
            "mpesa_initiator_name",
            f"{partner.mpesa_initiator_name} is Safaricom's test initiator. Production needs "
            "the API operator you made on the M-Pesa organisation portal",
        )


def _limit_problems(partner: Partner) -> Problems:
    for column in LIMIT_COLUMNS:
        if why := _amount_problem(getattr(partner, column), ABSURD_LIMIT):
            yield column, why
    pace = partner.mpesa_payments_per_second
    if isinstance(pace, Decimal) and pace > ABSURD_PACE:
        yield "mpesa_payments_per_second", f"is more than {ABSURD_PACE}. Example: 5"


def _completeness_problems(partner: Partner) -> Problems:
    for flag, columns in (
        ("is_mifos_configured", MIFOS_COLUMNS),
        ("is_mpesa_configured", MPESA_COLUMNS),
    ):
        if getattr(partner, flag) and (missing := missing_columns(partner, columns)):
            yield flag, f"cannot be true while these are empty: {', '.join(missing)}"


def _product_problems(product: LoanProductAutoDisbursalConfig) -> Problems:
    if product.product_id == 0:
        yield "product_id", "must be above 0. Example: 7"
    # Not M-Pesa's 250,000: this is about the principal, and M-Pesa pays the net.
    for column in ("min_amount", "max_amount"):
        if why := _amount_problem(getattr(product, column), ABSURD_LIMIT):
            yield column, why
    low, high = product.min_amount, product.max_amount
    if isinstance(low, Decimal) and isinstance(high, Decimal) and low > high:
        yield "min_amount", f"{low} is above max_amount {high}"


def _amount_problem(amount: object, most: Decimal) -> str:
    if not isinstance(amount, Decimal) or not amount.is_finite():
        return ""  # the column's own validation speaks
    if amount < 0:
        return f"{amount} is below 0. Example: 50000"
    if amount > most:
        return f"{amount} is more than {most:,}. Example: 50000"
    return ""


def _pattern(partner: Partner, column: str, shape: re.Pattern[str], example: str) -> Problems:
    value = getattr(partner, column)
    if value and not shape.fullmatch(value):
        yield column, f"'{value}' cannot be used. Example: {example}"


def host_problem(url: str) -> str:
    """Return what is wrong with the address of a Mifos X server, or the empty text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"'{_shown(url)}' is not an address. Example: https://mifos.example.co.ke"
    for test in (_shape_problem, _private_problem):
        if why := test(parts):
            return f"{why}. Example: https://mifos.example.co.ke"
    if port not in MIFOS_PORTS and not settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return f"port {port} is not allowed, only 443 and 8443"
    return ""


def _shape_problem(parts: SplitResult) -> str:
    rules: tuple[tuple[Callable[[], bool], str], ...] = (
        (
            lambda: bool(parts.username or parts.password or "@" in parts.netloc),
            "may not hold a user name or password; they have columns of their own",
        ),
        (
            lambda: parts.scheme not in {"https", "http"} or not parts.hostname,
            "must be a whole address that begins with https://",
        ),
        (lambda: bool(parts.query or parts.fragment), "may not hold ? or #"),
        (
            lambda: parts.path not in {"", "/"},
            "is the host only; the rest belongs into mifos_api_endpoint",
        ),
        (lambda: bool(re.search(r"[\s\\]", parts.netloc)), "may not hold blanks or backslashes"),
    )
    return next((why for broken, why in rules if broken()), "")


def _private_problem(parts: SplitResult) -> str:
    if settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return ""
    if parts.scheme != "https":
        return "must begin with https://"
    if is_private_host(parts.hostname or ""):
        return (
            "is a private or local address. Only a test machine may use one "
            "(LOANPOLL_ALLOW_PRIVATE_HOSTS=1)"
        )
    return ""


def is_private_host(host: str) -> bool:
    """Is this name, by its spelling alone, not of the open internet?

    What it resolves to is checked at connect time, by the wire.
    """
    name = host.lower().rstrip(".")
    try:
        return not ipaddress.ip_address(name.split("%")[0]).is_global
    except ValueError:
        pass
    # 2130706433 and 0x7f.1 are loopback to the C library, though not to ipaddress.
    return (
        "." not in name or name.endswith(LOCAL_NAMES) or DOTTED_NUMBER.fullmatch(name) is not None
    )


def _shown(url: str) -> str:
    return url.rpartition("@")[2][:80]


def normal_host(url: str) -> str:
    """Return the address as it is kept, in one spelling: one tenant is one partner."""
    text = url.strip().rstrip("/")
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    if not separator:
        return text
    return f"{scheme.lower()}{separator}{_one_spelling(scheme, host)}{slash}{path}"


def _one_spelling(scheme: str, host: str) -> str:
    name, colon, port = host.lower().partition(":")
    if scheme.lower() == "https" and port == "443":
        colon = port = ""
    return f"{name.rstrip('.')}{colon}{port}"
