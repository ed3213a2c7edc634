"""Checks the installation and every partner's access, without paying: what a doctor would ask."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import WARNING, CheckMessage, run_checks
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from disbursements.models import SyncRun, TriggeredBy
from mpesa.models import MpesaEnvironment
from partners.access import network_findings, stored_findings
from partners.findings import About, Finding, Verdict
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.overlap import overlap
from partners.pausing import payouts_paused
from partners.validation import is_private_host

PARTNERS_AT_ONCE = 16


@dataclass(kw_only=True, slots=True)
class CheckReport:
    """What was found. A fault of the installation makes it 2, of a partner 1, else it is 0."""

    installation: list[Finding] = field(default_factory=list)
    partners: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def findings(self) -> list[Finding]:
        return [*self.installation, *self.partners]

    @property
    def exit_code(self) -> int:
        if _has_failed(self.installation):
            return 2
        return 1 if _has_failed(self.partners) else 0

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict == verdict for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Patient:
    """One partner with what was read of it before the waiting on the network began."""

    partner: Partner
    enabled: list[LoanProductAutoDisbursalConfig]
    stored: list[Finding]


def check_system(*, now: datetime, slugs: Sequence[str] = ()) -> CheckReport:
    """Check everything; `slugs` narrows the partners (none named = all active ones)."""
    started = time.monotonic()
    report = CheckReport(installation=list(_database_findings()))
    if not _has_failed(report.installation):
        report.installation += _settings_findings()
    if not _has_failed(report.installation):
        report.installation += [*_cron_findings(now), *_switch_findings()]
        partners = _partners(slugs)
        report.installation += [*_callback_findings(partners), *_missing_findings(partners, slugs)]
        report.partners = _partner_findings(partners, now)
    report.seconds = time.monotonic() - started
    return report


def _has_failed(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict == Verdict.FAIL for finding in findings)


def _database_findings() -> Iterator[Finding]:
    about = About("database")
    started = time.monotonic()
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseTrouble as exc:
        yield about.fail(
            f"cannot be reached ({type(exc).__name__})",
            likely="it is not running, or DATABASE_URL is wrong",
            fix="check DATABASE_URL in the environment or in .env",
        )
        return
    if waiting:
        yield about.fail(f"{len(waiting)} migrations wait", fix="manage.py migrate")
        return
    took = (time.monotonic() - started) * 1000
    yield about.ok(f"{connection.display_name} answers in {took:.0f} ms, migrations applied")


def _settings_findings() -> Iterator[Finding]:
    about = About("settings")
    basic = run_checks(databases=["default"])
    yield from (_spoken(about, message) for message in basic)
    # What `check --deploy` adds speaks of production: advice here, an error there.
    known = {message.id for message in basic}
    for message in run_checks(include_deployment_checks=True):
        if message.id not in known and _is_advice(message):
            yield about.warn(message.msg, fix=message.hint or "manage.py check --deploy")
    if not any(message.is_serious() for message in basic):
        keys = len(settings.FIELD_ENCRYPTION_KEYS)
        cron = "set" if settings.CRON_SECRET else "not set, so no hosted cron"
        yield about.ok(f"stored secrets readable, encryption keys: {keys}; CRON_SECRET {cron}")


def _is_advice(message: CheckMessage) -> bool:
    serious = message.level >= WARNING and not message.is_silenced()
    return serious and str(message.id).startswith("loanpoll.")


def _spoken(about: About, message: CheckMessage) -> Finding:
    say = about.fail if message.is_serious() else about.warn
    return say(message.msg, fix=message.hint or "manage.py check")


def _cron_findings(now: datetime) -> Iterator[Finding]:
    about = About("cron")
    fix = "manage.py crontab add, and see that the cron service runs"
    run = SyncRun.objects.filter(triggered_by=TriggeredBy.SCHEDULE).order_by("-started_at").first()
    if run is None:
        yield about.warn("no scheduled pass has run yet", fix=fix)
        return
    age = now - run.started_at
    expected = f"expected every {settings.LOANPOLL_POLL_INTERVAL / 60:g} min"
    text = f"last scheduled pass {age.total_seconds() / 60:.0f} min ago, {expected}"
    late = settings.LOANPOLL_POLL_INTERVAL + settings.LOANPOLL_POLL_GRACE
    if age > timedelta(seconds=late):
        yield about.warn(text, likely="cron stopped, or this machine was off", fix=fix)
    elif run.success is False:
        yield about.warn(f"{text}; a partner could not be served", fix="see the lines below")
    else:
        yield about.ok(text)


def _switch_findings() -> Iterator[Finding]:
    switch = payouts_paused()
    if switch:
        yield About("payouts").warn(
            f"all are paused by {switch.paused_by}: {switch.pause_reason}",
            fix="manage.py resume --all --reason … --actor …",
        )


def _callback_findings(partners: Sequence[Partner]) -> Iterator[Finding]:
    about = About("callbacks")
    parts = urlsplit(settings.PUBLIC_BASE_URL)
    if parts.scheme == "https" and not is_private_host(parts.hostname or ""):
        yield about.ok(f"{settings.PUBLIC_BASE_URL}, https")
        return
    live = [p.slug for p in partners if p.mpesa_environment == MpesaEnvironment.PRODUCTION]
    say = about.fail if live else about.warn
    yield say(
        f"Safaricom cannot call back to {settings.PUBLIC_BASE_URL}",
        likely="right for the sandbox on this machine; results of real payments would be lost",
        fix="set PUBLIC_BASE_URL to the public https address of this site",
    )


def _missing_findings(partners: Sequence[Partner], slugs: Sequence[str]) -> Iterator[Finding]:
    about = About("partners")
    for slug in sorted(set(slugs) - {partner.slug for partner in partners}):
        known = ", ".join(Partner.objects.values_list("slug", flat=True)) or "none yet"
        yield about.fail(f"there is no partner '{slug}'", fix=f"name one of: {known}")
    if not partners and not slugs:
        yield about.warn("there is no active partner", fix="manage.py load_partners FILE")


def _partners(slugs: Sequence[str]) -> list[Partner]:
    named = (
        Partner.objects.filter(slug__in=slugs) if slugs else Partner.objects.filter(is_active=True)
    )
    return list(named.prefetch_related("products").order_by("slug"))


def _partner_findings(partners: Sequence[Partner], now: datetime) -> list[Finding]:
    # All our own reading comes first: threads that wait on HTTP hold no connection.
    patients = [_patient(partner, now) for partner in partners]
    answers = dict(overlap(lambda patient: _ask(patient, now), patients, workers=PARTNERS_AT_ONCE))
    return [
        finding
        for patient in patients
        for finding in (*answers.get(patient.partner.slug, []), *patient.stored)
    ]


def _patient(partner: Partner, now: datetime) -> _Patient:
    enabled = [config for config in partner.products.all() if config.enabled]
    return _Patient(partner, enabled, stored_findings(partner, enabled, now=now))


def _ask(patient: _Patient, now: datetime) -> tuple[str, list[Finding]]:
    return patient.partner.slug, network_findings(patient.partner, patient.enabled, now=now)
