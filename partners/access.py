"""Checks that a partner can be served: what is stored, its Mifos X, its M-Pesa. Pays nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.urls import reverse

from mifos.client import (
    MifosBusy,
    MifosClient,
    MifosCredentials,
    MifosError,
    MifosNotAllowed,
    MifosUnreachable,
    may_disburse,
)
from mpesa.client import MpesaCredentials, MpesaError, MpesaNotSent, MpesaThrottled
from mpesa.models import Shortcode
from partners.findings import About, Finding
from partners.gateways import NotConfigured, daraja_url, mifos_client, mpesa_client
from partners.models import LoanProductAutoDisbursalConfig, Partner

logger = logging.getLogger(__name__)

# The password behind it lives 90 days (contracts/mpesa.md 4).
CREDENTIAL_WARN = timedelta(days=75)
CREDENTIAL_END = timedelta(days=90)
READ_PERMISSIONS = ("READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE")
ALL_READ = frozenset({"ALL_FUNCTIONS", "ALL_FUNCTIONS_READ"})
WAIT = "wait some minutes, then check again"

MIFOS_TROUBLES: tuple[tuple[type[MifosError], str, str], ...] = (
    (
        MifosUnreachable,
        "the server is down, the address is wrong, or a firewall is between",
        "compare mifos_host_url and mifos_api_endpoint with the address people use, on {page}",
    ),
    (
        MifosCredentials,
        "the password was changed, the user is locked, or the tenant id is another",
        "enter mifos_username, mifos_password and mifos_tenant_id anew on {page}",
    ),
    (
        MifosNotAllowed,
        "the role of this user in Mifos X lacks a permission",
        "Mifos X > Admin > System > Manage roles and permissions",
    ),
    (MifosBusy, "Mifos X is busy, or its nightly jobs hold the loans", WAIT),
)
MPESA_TROUBLES: tuple[tuple[type[MpesaError], str, str], ...] = (
    (
        MpesaCredentials,
        "the consumer key or secret is wrong, or belongs to the other environment",
        "copy both again from Daraja portal > My Apps to {page}",
    ),
    (MpesaThrottled, "Safaricom slows this app down", WAIT),
    (MpesaNotSent, "Safaricom cannot be reached from here", "check DNS and outgoing https"),
)


def check_access(partner: Partner, *, now: datetime) -> list[Finding]:
    """Return all findings about one partner."""
    enabled = list(partner.products.filter(enabled=True))
    return [
        *stored_findings(partner, enabled, now=now),
        *network_findings(partner, enabled, now=now),
    ]


def stored_findings(
    partner: Partner, enabled: list[LoanProductAutoDisbursalConfig], *, now: datetime
) -> list[Finding]:
    """Return what our own tables tell about the partner."""
    about = About(f"partner {partner.slug}")
    return [
        *_switch_findings(about, partner, enabled),
        *_credential_findings(about, partner, now),
        *_shortcode_findings(about, partner),
    ]


def network_findings(
    partner: Partner, enabled: list[LoanProductAutoDisbursalConfig], *, now: datetime
) -> list[Finding]:
    """Return what Mifos X and M-Pesa answer. Touches our database for the M-Pesa token only."""
    about = About(f"partner {partner.slug}")
    return [
        *_attempt(about, partner, lambda: _mifos_findings(about, partner, enabled, now)),
        *_attempt(about, partner, lambda: _mpesa_findings(about, partner)),
    ]


def partner_page(partner: Partner) -> str:
    """Return the admin page of the partner."""
    return reverse("admin:partners_partner_change", args=[partner.pk])


def _switch_findings(
    about: About, partner: Partner, enabled: list[LoanProductAutoDisbursalConfig]
) -> Iterator[Finding]:
    if not partner.mifos_auto_disbursement_enabled:
        yield about.warn(
            "automatic disbursement is off: loans are shown and none is paid",
            fix=f"tick mifos_auto_disbursement_enabled on {partner_page(partner)}",
        )
    elif not enabled:
        yield about.warn(
            "no loan product is enabled: no loan is paid",
            fix=f"add the product and tick enabled on {partner_page(partner)}",
        )
    if partner.is_paused:
        yield about.warn(
            f"paused by {partner.paused_by}: {partner.pause_reason}",
            fix=f"manage.py resume --partner {partner.slug} --reason … --actor …",
        )


def _credential_findings(about: About, partner: Partner, now: datetime) -> Iterator[Finding]:
    set_at = partner.mpesa_credential_set_at
    if set_at is None or not partner.mpesa_security_credential:
        return
    days = (now - set_at).days
    text = f"the M-Pesa credential is {days} days old; Safaricom ends it after 90"
    fix = (
        "set a new initiator password on the M-Pesa organisation portal, "
        f"then enter it on {partner_page(partner)}"
    )
    if now - set_at >= CREDENTIAL_END:
        yield about.fail(text, fix=fix)
    elif now - set_at >= CREDENTIAL_WARN:
        yield about.warn(text, fix=fix)


def _shortcode_findings(about: About, partner: Partner) -> Iterator[Finding]:
    row = Shortcode.objects.filter(
        environment=partner.mpesa_environment, shortcode=partner.mpesa_shortcode
    ).first()
    if row is None or not partner.mpesa_shortcode:
        return
    if row.breaker_opened_at:
        yield about.fail(
            f"payouts from shortcode {row.shortcode} are stopped: {row.breaker_cause}",
            likely="M-Pesa refused the initiator; every further try would help to lock it",
            fix=f"correct the initiator on {partner_page(partner)}, "
            'then use the action "Let the shortcode pay again" of the list of partners',
        )
    if row.float_short_since:
        yield about.warn(
            f"the float of shortcode {row.shortcode} was short at {_local(row.float_short_since)}",
            fix="move money to the utility account; payouts resume when it is seen",
        )


def _attempt(
    about: About, partner: Partner, check: Callable[[], Iterable[Finding]]
) -> Iterator[Finding]:
    """Yield what `check` finds. An error of the system it asks is one finding more, and its end."""
    try:
        yield from check()
    except NotConfigured as exc:
        yield about.fail(str(exc), fix=f"fill them in on {partner_page(partner)}")
    except MifosError as exc:
        yield _trouble(about, partner, exc, MIFOS_TROUBLES)
    except MpesaError as exc:
        yield _trouble(about, partner, exc, MPESA_TROUBLES)
    except Exception as exc:
        logger.exception("the check of %s itself failed", partner.slug)
        yield about.fail(
            f"the check itself failed ({type(exc).__name__})", fix="see the log, and report it"
        )


def _trouble(
    about: About,
    partner: Partner,
    exc: Exception,
    known: tuple[tuple[type[Exception], str, str], ...],
) -> Finding:
    fixes = ((likely, fix) for kind, likely, fix in known if isinstance(exc, kind))
    likely, fix = next(fixes, ("", "see the log of this moment, then check again"))
    again = f"; then: manage.py test_loan_polling_system --partner {partner.slug}"
    said = str(exc) or type(exc).__name__
    return about.fail(said, likely=likely, fix=fix.format(page=partner_page(partner)) + again)


def _mifos_findings(
    about: About,
    partner: Partner,
    enabled: list[LoanProductAutoDisbursalConfig],
    now: datetime,
) -> Iterator[Finding]:
    if not partner.is_mifos_configured:
        yield _unfinished(about, partner, "is_mifos_configured", "Mifos X")
        return
    client = mifos_client(partner)
    permissions = client.permissions()
    yield about.ok(f"Mifos X login as {partner.mifos_username}, tenant {partner.mifos_tenant_id}")
    yield from _permission_findings(about, permissions)
    for check in (
        lambda: _loan_findings(about, client),
        lambda: _payment_type_findings(about, partner, client),
        lambda: _product_findings(about, partner, client, enabled),
        lambda: _date_findings(about, partner, client, now),
    ):
        yield from _attempt(about, partner, check)


def _unfinished(about: About, partner: Partner, flag: str, system: str) -> Finding:
    say = about.fail if partner.mifos_auto_disbursement_enabled else about.warn
    return say(
        f"{system} is not configured ({flag} is off)",
        fix=f"fill in the {system} settings and tick {flag} on {partner_page(partner)}",
    )


def _permission_findings(about: About, permissions: frozenset[str]) -> Iterator[Finding]:
    missing = [name for name in READ_PERMISSIONS if not permissions & (ALL_READ | {name})]
    if not may_disburse(permissions):
        missing.insert(0, "DISBURSE_LOAN")
    if not missing:
        yield about.ok("Mifos X permissions DISBURSE_LOAN and reading held")
        return
    yield about.fail(
        f"the Mifos X user lacks {', '.join(missing)}",
        likely="its role was made without them; a payment could not be recorded",
        fix="Mifos X > Admin > System > Manage roles and permissions",
    )


def _loan_findings(about: About, client: MifosClient) -> Iterator[Finding]:
    count = sum(len(page) for page in client.approved_loans())
    yield about.ok(f"Mifos X loan list readable, {count} approved and waiting")
    if client.unreadable_rows:
        yield about.warn(
            f"{len(client.unreadable_rows)} approved loans cannot be read",
            likely=client.unreadable_rows[0],
            fix="see docs/how-to, or pay these loans by hand",
        )


def _payment_type_findings(
    about: About, partner: Partner, client: MifosClient
) -> Iterator[Finding]:
    types = {found.payment_type_id: found for found in client.payment_types()}
    mine = types.get(partner.mifos_payment_type_id or 0)
    if mine is not None and not mine.is_cash:
        yield about.ok(f"Mifos X payment type {mine.payment_type_id} is {mine.name}")
        return
    usable = [
        f"{found.payment_type_id} {found.name}" for found in types.values() if not found.is_cash
    ]
    yield about.fail(
        f"payment type {partner.mifos_payment_type_id} "
        + ("is a cash type in Mifos X" if mine else "does not exist in Mifos X"),
        likely="ids differ from tenant to tenant",
        fix=f"set mifos_payment_type_id on {partner_page(partner)} to one of: "
        + (", ".join(usable) or "none yet; make one in Mifos X > Admin > Organization"),
    )


def _product_findings(
    about: About,
    partner: Partner,
    client: MifosClient,
    enabled: list[LoanProductAutoDisbursalConfig],
) -> Iterator[Finding]:
    known = {product.product_id for product in client.products()}
    lost = [str(config.product_id) for config in enabled if config.product_id not in known]
    if lost:
        yield about.fail(
            f"enabled here and not in Mifos X: product {', '.join(lost)}",
            fix=f"correct the product id on {partner_page(partner)}",
        )
    elif enabled:
        yield about.ok(f"{len(enabled)} enabled products exist in Mifos X")


def _date_findings(
    about: About, partner: Partner, client: MifosClient, now: datetime
) -> Iterator[Finding]:
    theirs = client.business_date(now=now)
    ours = now.astimezone(ZoneInfo(partner.mifos_time_zone)).date()
    if abs(ours - theirs) > timedelta(days=1):
        yield about.warn(
            f"the business date of Mifos X is {theirs}, and today is {ours}",
            likely="the end-of-day job of Mifos X has not run",
            fix="Mifos X > Admin > System > Scheduler jobs",
        )


def _mpesa_findings(about: About, partner: Partner) -> Iterator[Finding]:
    if not partner.is_mpesa_configured:
        yield _unfinished(about, partner, "is_mpesa_configured", "M-Pesa")
        return
    mpesa_client(partner).prepare()
    yield about.ok(
        f"M-Pesa token obtained from {daraja_url(partner.mpesa_environment)} "
        f"for shortcode {partner.mpesa_shortcode} ({partner.mpesa_environment})"
    )


def _local(instant: datetime) -> str:
    return instant.astimezone(ZoneInfo("Africa/Nairobi")).strftime("%d %b %H:%M EAT")
